package import NIOCore

/// `host:port`, an IPv6 address in brackets: how places are shown to people.
package func hostWithPort(_ host: String, _ port: some BinaryInteger) -> String {
    host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
}

extension SocketAddress {
    /// `ip:port`, or `[ip]:port` for IPv6; `unix` with the path, if there is one, for a socket in the file system.
    package var authority: String {
        if let path = self.pathname { return path.isEmpty ? "unix" : "unix:\(path)" }
        guard let ip = self.ipAddress, let port = self.port else { return "\(self)" }
        return hostWithPort(ip, port)
    }

    /// Whether the address is one of this machine's loopback addresses (127.0.0.0/8, ::1, or the former mapped into IPv6).
    package var isLoopback: Bool {
        guard let address = IPAddress(self) else { return false }
        return switch address.family {
        case .v4: address.bits >> 24 == 127
        case .v6: address.bits == 1 || address.bits >> 24 == 0xFFFF_7F
        }
    }

    /// Whether it stands for all of this machine's addresses of its family: `0.0.0.0` or `::`.
    package var isWildcard: Bool { IPAddress(self)?.bits == 0 }
}
