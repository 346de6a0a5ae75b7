import CAppProto

/// The end of a successful handshake, with the server's own proof of the secret.
///
/// Only the MAC can change after creation: all else is what the MAC covers.
package struct Welcome: Hashable, Sendable {
    /// The agent's id; `nil` for clients.
    package let instanceID: InstanceID?
    /// The name under which the agent is registered; empty for clients.
    package let agentName: String
    /// Unix time in milliseconds at which the registration ends; 0 for never.
    package let expireAtMilliseconds: UInt64
    /// To be presented when the same process reconnects; empty for clients.
    package let resumeToken: [UInt8]
    /// The peer's address as the server sees it, `ip:port` or `[ip]:port`.
    package let observedAddress: String
    /// Name and version of the server, for people.
    package let software: String
    /// Whether the server carries datagrams between peers that have no direct path.
    package let bridge: Bool
    /// Where the server answers STUN besides the UDP port of the control connection's number.
    package let stunServers: [StunServer]
    /// The server's clock when it sent this, Unix time in milliseconds; 0 when it does not say.
    package let timeMilliseconds: UInt64
    /// HMAC-SHA256, 32 bytes; empty until the proof has been made.
    package var mac: [UInt8]
    private let receivedBytes: [UInt8]?

    package init(
        instanceID: InstanceID? = nil, agentName: String = "", expireAtMilliseconds: UInt64 = 0,
        resumeToken: [UInt8] = [], observedAddress: String, software: String, bridge: Bool = false,
        stunServers: [StunServer] = [], timeMilliseconds: UInt64 = 0, mac: [UInt8] = []
    ) {
        self.instanceID = instanceID
        self.agentName = agentName
        self.expireAtMilliseconds = expireAtMilliseconds
        self.resumeToken = resumeToken
        self.observedAddress = observedAddress
        self.software = software
        self.bridge = bridge
        self.stunServers = stunServers
        self.timeMilliseconds = timeMilliseconds
        self.mac = mac
        self.receivedBytes = nil
    }

    /// The serialisation with `mac` empty, as for `Hello`.
    package var authenticatedBytes: [UInt8] {
        if let receivedBytes = self.receivedBytes { return receivedBytes }
        var copy = self
        copy.mac = []
        return copy.serialized()
    }
}

extension Welcome: RootMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Welcome>) { rtun__welcome__init(pointer) }

    init(_ message: Rtun__Welcome) throws(AppProtoError) {
        self.instanceID = try readOptionalInstanceID(message.instance_id, "instance_id")
        self.agentName = try readString(message.agent_name, "agent_name", length: 0...AppProtoLimits.name)
        self.expireAtMilliseconds = message.expire_at_ms
        self.resumeToken = try readBytes(message.resume_token, "resume_token", length: 0...AppProtoLimits.resumeToken)
        self.observedAddress = try readString(
            message.observed_address, "observed_address", length: 0...AppProtoLimits.name)
        self.software = try readString(message.software, "software", length: 0...AppProtoLimits.name)
        self.mac = try readOptionalBytes(message.mac, "mac", length: 32)
        self.bridge = message.bridge != 0
        self.stunServers = try readMessages(
            message.stun_servers, count: message.n_stun_servers, "stun_servers", limit: AppProtoLimits.stunServers)
        self.timeMilliseconds = message.time_ms
        var unsigned = message
        unsigned.mac = ProtobufCBinaryData(len: 0, data: nil)
        self.receivedBytes = Self.serialized(&unsigned)
    }

    func fill(_ message: inout Rtun__Welcome, _ arena: Arena) {
        message.instance_id = arena.string(self.instanceID?.rawValue ?? "")
        message.agent_name = arena.string(self.agentName)
        message.expire_at_ms = self.expireAtMilliseconds
        message.resume_token = arena.bytes(self.resumeToken)
        message.observed_address = arena.string(self.observedAddress)
        message.software = arena.string(self.software)
        message.mac = arena.bytes(self.mac)
        message.bridge = self.bridge ? 1 : 0
        message.n_stun_servers = self.stunServers.count
        message.stun_servers = arena.messages(self.stunServers)
        message.time_ms = self.timeMilliseconds
    }

    static func packedSize(_ pointer: UnsafePointer<Rtun__Welcome>) -> Int { rtun__welcome__get_packed_size(pointer) }

    static func pack(_ pointer: UnsafePointer<Rtun__Welcome>, into bytes: UnsafeMutablePointer<UInt8>) -> Int {
        rtun__welcome__pack(pointer, bytes)
    }
}
