package import NIOCore

extension SocketAddress {
    /// `ip:port`, or `[ip]:port` for IPv6: how addresses are shown to people.
    package var authority: String {
        guard let ip = self.ipAddress, let port = self.port else { return "\(self)" }
        return self.protocol == .inet6 ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }

    /// Whether the address is one of this machine's loopback addresses (127.0.0.0/8, ::1, or the former mapped into IPv6).
    package var isLoopback: Bool {
        switch self {
        case .v4(let address):
            return UInt32(bigEndian: address.address.sin_addr.s_addr) >> 24 == 127
        case .v6(let address):
            let bytes = withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
            return isMapped ? bytes[12] == 127 : bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1
        case .unixDomainSocket:
            return false
        }
    }
}
