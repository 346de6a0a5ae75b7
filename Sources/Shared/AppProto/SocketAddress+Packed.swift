package import NIOCore

extension SocketAddress {
    /// The IP address in network order: 4 or 16 bytes; empty for a UNIX domain socket.
    package var packedIPAddress: [UInt8] {
        switch self {
        case .v4(let address): withUnsafeBytes(of: address.address.sin_addr) { Array($0) }
        case .v6(let address): withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
        case .unixDomainSocket: []
        }
    }

    /// The port; 0 for a UNIX domain socket.
    package var packedPort: UInt16 {
        switch self {
        case .v4(let address): UInt16(bigEndian: address.address.sin_port)
        case .v6(let address): UInt16(bigEndian: address.address.sin6_port)
        case .unixDomainSocket: 0
        }
    }
}
