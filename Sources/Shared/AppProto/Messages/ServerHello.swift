import CAppProto

/// The server's first message on every control connection.
package struct ServerHello: Hashable, Sendable {
    /// Protocol versions the server speaks.
    package var versions: [UInt32]
    /// 32 random bytes, fresh for the connection.
    package var serverNonce: [UInt8]
    /// What the server accepts on this connection; types that this version does not know are left out.
    package var bindingTypes: [BindingType]
    /// Name and version of the program, for people.
    package var software: String

    package init(versions: [UInt32], serverNonce: [UInt8], bindingTypes: [BindingType], software: String) {
        self.versions = versions
        self.serverNonce = serverNonce
        self.bindingTypes = bindingTypes
        self.software = software
    }
}

extension ServerHello: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__ServerHello>) { rtun__server_hello__init(pointer) }

    init(_ message: Rtun__ServerHello) throws(AppProtoError) {
        guard message.n_versions <= AppProtoLimits.offers, message.n_binding_types <= AppProtoLimits.offers else {
            throw .invalidField("versions, binding_types", expected: "at most \(AppProtoLimits.offers) elements")
        }
        self.versions = Array(UnsafeBufferPointer(start: message.versions, count: message.n_versions))
        self.serverNonce = try readBytes(message.server_nonce, "server_nonce", length: 32...32)
        self.bindingTypes = UnsafeBufferPointer(start: message.binding_types, count: message.n_binding_types)
            .compactMap { BindingType(rawValue: $0.rawValue) }
        self.software = try readString(message.software, "software", length: 0...AppProtoLimits.name)
    }

    func fill(_ message: inout Rtun__ServerHello, _ arena: Arena) {
        message.n_versions = self.versions.count
        message.versions = arena.array(self.versions)
        message.server_nonce = arena.bytes(self.serverNonce)
        message.n_binding_types = self.bindingTypes.count
        message.binding_types = arena.array(self.bindingTypes.map { Rtun__BindingType(rawValue: $0.rawValue) })
        message.software = arena.string(self.software)
    }
}
