import CAppProto

/// The peer's answer to `ServerHello`: who it is, and its proof of the shared secret.
///
/// Only the MAC and the signature can change after creation: all else is what both cover.
package struct Hello: Hashable, Sendable {
    package let version: UInt32
    package let role: Role
    /// 32 random bytes, fresh for the connection.
    package let clientNonce: [UInt8]
    package let bindingType: BindingType
    /// Present for agents only.
    package let agent: AgentRegistration?
    /// Name and version of the program, for people.
    package let software: String
    /// What it says of its key; nil from programs that prove none.
    package var keyProof: KeyProof?
    /// Of a client: a check on behalf of an agent, which an agent's secret is good enough for.
    package let isCheck: Bool
    /// HMAC-SHA256, 32 bytes; empty until the proof has been made.
    package var mac: [UInt8]
    private let received: Received?

    /// The two serialisations of a message that was received.
    private struct Received: Hashable {
        let authenticated: [UInt8]
        let signed: [UInt8]
    }

    package init(
        version: UInt32, role: Role, clientNonce: [UInt8], bindingType: BindingType, agent: AgentRegistration? = nil,
        software: String, keyProof: KeyProof? = nil, isCheck: Bool = false, mac: [UInt8] = []
    ) {
        self.version = version
        self.role = role
        self.clientNonce = clientNonce
        self.bindingType = bindingType
        self.agent = agent
        self.software = software
        self.keyProof = keyProof
        self.isCheck = isCheck
        self.mac = mac
        self.received = nil
    }

    /// The serialisation with `mac` empty. Of a received message it keeps the order of map entries and the fields
    /// that this version does not know, so that a newer peer's proof still holds.
    package var authenticatedBytes: [UInt8] {
        if let received = self.received { return received.authenticated }
        var copy = self
        copy.mac = []
        return copy.serialized()
    }

    /// The serialisation with `mac` and `signature` empty, in the same manner: what the signature covers.
    package var signedBytes: [UInt8] {
        if let received = self.received { return received.signed }
        var copy = self
        copy.mac = []
        copy.keyProof?.signature = []
        return copy.serialized()
    }
}

extension Hello: RootMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Hello>) { rtun__hello__init(pointer) }

    init(_ message: Rtun__Hello) throws(AppProtoError) {
        guard let role = Role(rawValue: message.role.rawValue) else {
            throw .invalidField("role", expected: "ROLE_AGENT or ROLE_CLIENT")
        }
        guard let bindingType = BindingType(rawValue: message.binding_type.rawValue) else {
            throw .invalidField("binding_type", expected: "a type that the server offered")
        }
        guard (role == .agent) == (message.agent != nil) else {
            throw .invalidField("agent", expected: "a value for agents, and none for clients")
        }
        self.version = message.version
        self.role = role
        self.clientNonce = try readBytes(message.client_nonce, "client_nonce", length: 32...32)
        self.bindingType = bindingType
        self.agent = role == .agent ? try readMessage(message.agent, "agent") : nil
        self.software = try readString(message.software, "software", length: 0...AppProtoLimits.name)
        self.isCheck = role == .client && message.check != 0
        self.mac = try readOptionalBytes(message.mac, "mac", length: 32)
        self.keyProof = try Self.readKeyProof(message)
        guard (self.keyProof == nil) == (self.agent?.process == nil) || self.role == .client else {
            throw .invalidField("process_nonce", expected: "16 bytes beside a certificate, and none without")
        }
        var unsigned = message
        unsigned.mac = ProtobufCBinaryData(len: 0, data: nil)
        let authenticated = Self.serialized(&unsigned)
        guard self.keyProof != nil else {
            self.received = Received(authenticated: authenticated, signed: authenticated)
            return
        }
        unsigned.signature = ProtobufCBinaryData(len: 0, data: nil)
        self.received = Received(authenticated: authenticated, signed: Self.serialized(&unsigned))
    }

    private static func readKeyProof(_ message: Rtun__Hello) throws(AppProtoError) -> KeyProof? {
        let isExpected = message.certificate.len > 0
        let signature = try readBytes(
            message.signature, "signature", length: isExpected ? 1...AppProtoLimits.signature : 0...0)
        guard isExpected else { return nil }
        return KeyProof(
            certificate: try readBytes(message.certificate, "certificate", length: 1...AppProtoLimits.certificate),
            isKept: message.key_kept != 0, signature: signature)
    }

    func fill(_ message: inout Rtun__Hello, _ arena: Arena) {
        message.version = self.version
        message.role = Rtun__Role(rawValue: self.role.rawValue)
        message.client_nonce = arena.bytes(self.clientNonce)
        message.binding_type = Rtun__BindingType(rawValue: self.bindingType.rawValue)
        message.agent = arena.optional(self.agent)
        message.software = arena.string(self.software)
        message.check = self.isCheck ? 1 : 0
        message.mac = arena.bytes(self.mac)
        message.certificate = arena.bytes(self.keyProof?.certificate ?? [])
        message.signature = arena.bytes(self.keyProof?.signature ?? [])
        message.key_kept = self.keyProof?.isKept == true ? 1 : 0
    }

    static func packedSize(_ pointer: UnsafePointer<Rtun__Hello>) -> Int { rtun__hello__get_packed_size(pointer) }

    static func pack(_ pointer: UnsafePointer<Rtun__Hello>, into bytes: UnsafeMutablePointer<UInt8>) -> Int {
        rtun__hello__pack(pointer, bytes)
    }
}
