import CAppProto
import NIOCore

/// A UDP address at which the rtun server answers STUN.
package struct StunServer: Hashable, Sendable {
    /// In network order, 4 or 16 bytes; empty: the address at which the control connection reaches the server.
    package var address: [UInt8]
    package var port: UInt16

    package init(address: [UInt8] = [], port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension StunServer: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__StunServer>) { rtun__stun_server__init(pointer) }

    init(_ message: Rtun__StunServer) throws(AppProtoError) {
        self.port = try readPort(message.port, "port")
        self.address =
            message.address.len == 0
            ? [] : try readAddress(message.address, port: self.port, "address").packedIPAddress
    }

    func fill(_ message: inout Rtun__StunServer, _ arena: Arena) {
        message.address = arena.bytes(self.address)
        message.port = UInt32(self.port)
    }
}
