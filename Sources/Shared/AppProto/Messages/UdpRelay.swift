import CAppProto
package import NIOCore

/// What a client wants of a UDP relay channel: one target, and how its flows are to be treated.
package struct UdpRelay: Hashable, Sendable {
    /// An IPv4 or IPv6 address with a port of 1 to 65535: where the agent sends every flow.
    package var target: SocketAddress
    /// After how long without a datagram the client forgets a flow: 1 ms to 100 years, in whole milliseconds.
    package var idleTimeout: TimeAmount
    /// The largest payload of a frame that the client wants to get, in bytes; nil: whatever the path carries.
    package var maximumPayload: UInt16?
    package var unknownFields = UnknownFields()

    package init(target: SocketAddress, idleTimeout: TimeAmount, maximumPayload: UInt16?) {
        self.target = target
        self.idleTimeout = idleTimeout
        self.maximumPayload = maximumPayload
    }
}

extension UdpRelay: WireMessage {
    /// 100 years: adding it to any clock is safe.
    private static let longestTimeout: UInt64 = 100 * 365 * 86_400_000

    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__UdpRelay>) { rtun__udp_relay__init(pointer) }

    init(_ message: Rtun__UdpRelay) throws(AppProtoError) {
        self.target = try readAddress(
            message.target_address, port: readPort(message.target_port, "target_port"), "target_address")
        guard (1...Self.longestTimeout).contains(message.idle_timeout_ms) else {
            throw .invalidField("idle_timeout_ms", expected: "1 to \(Self.longestTimeout)")
        }
        self.idleTimeout = .milliseconds(Int64(message.idle_timeout_ms))
        guard let limit = UInt16(exactly: message.max_payload) else {
            throw .invalidField("max_payload", expected: "0 to 65535")
        }
        self.maximumPayload = limit == 0 ? nil : limit
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__UdpRelay, _ arena: Arena) {
        message.target_address = arena.bytes(self.target.packedIPAddress)
        message.target_port = UInt32(self.target.packedPort)
        message.idle_timeout_ms = UInt64(clamping: max(1, self.idleTimeout.nanoseconds / 1_000_000))
        message.max_payload = UInt32(self.maximumPayload ?? 0)
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
