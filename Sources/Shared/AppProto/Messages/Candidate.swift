import CAppProto
package import NIOCore

/// One ICE candidate (RFC 8839 §5.1).
package struct Candidate: Hashable, Sendable {
    package var type: CandidateType
    /// 1 to 32 ice-chars.
    package var foundation: String
    package var priority: UInt32
    /// An IPv4 or IPv6 address with a port of 1 to 65535.
    package var address: SocketAddress
    /// The base of a reflexive candidate, for diagnosis.
    package var relatedAddress: SocketAddress?
    package var unknownFields = UnknownFields()

    package init(
        type: CandidateType, foundation: String, priority: UInt32, address: SocketAddress,
        relatedAddress: SocketAddress? = nil
    ) {
        self.type = type
        self.foundation = foundation
        self.priority = priority
        self.address = address
        self.relatedAddress = relatedAddress
    }
}

extension Candidate: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Candidate>) { rtun__candidate__init(pointer) }

    init(_ message: Rtun__Candidate) throws(AppProtoError) {
        self.type = CandidateType(rawValue: message.type.rawValue) ?? .unspecified
        self.foundation = try readICECharacters(message.foundation, "foundation", length: 1...32)
        self.priority = message.priority
        self.address = try readAddress(message.address, port: readPort(message.port, "port"), "address")
        if message.related_address.len != 0 {
            let port = try readPort(message.related_port, "related_port", zeroAllowed: true)
            self.relatedAddress = try readAddress(message.related_address, port: port, "related_address")
        } else {
            self.relatedAddress = nil
        }
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__Candidate, _ arena: Arena) {
        message.type = Rtun__CandidateType(rawValue: self.type.rawValue)
        message.foundation = arena.string(self.foundation)
        message.priority = self.priority
        message.address = arena.bytes(self.address.packedIPAddress)
        message.port = UInt32(self.address.packedPort)
        if let relatedAddress = self.relatedAddress {
            message.related_address = arena.bytes(relatedAddress.packedIPAddress)
            message.related_port = UInt32(relatedAddress.packedPort)
        }
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
