package import NIOCore

/// Where a client wants to go: a host and a port.
package struct Target: Hashable, Sendable {
    /// The target's host. A name that spells an IP address is stored as that address.
    package enum Host: Hashable, Sendable {
        /// 4 bytes, network order.
        case ipv4([UInt8])
        /// 16 bytes, network order.
        case ipv6([UInt8])
        /// 1…255 bytes of UTF-8 without control characters or spaces; resolved by whoever dials.
        case name(String)
    }

    package var host: Host
    /// 1…65535.
    package var port: UInt16

    package init(host: Host, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// An address with its port, both of which there have to be: nil for port 0 and for a Unix domain socket.
    package init?(_ address: SocketAddress) {
        guard let text = address.ipAddress, let port = address.port.flatMap(UInt16.init(exactly:)), port != 0,
            let host = Host(name: text.utf8)
        else { return nil }
        self.init(host: host, port: port)
    }

    /// The host as text: an IP literal without brackets, or the name.
    package var hostText: String {
        switch self.host {
        case .ipv4(let bytes), .ipv6(let bytes):
            // `Host` is only made with 4 or 16 bytes, so the address always exists; the empty text is no valid host.
            (try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: 0))?.ipAddress ?? ""
        case .name(let name):
            name
        }
    }
}

extension Target: CustomStringConvertible {
    /// `host:port`, an IPv6 address in brackets.
    package var description: String {
        hostWithPort(self.hostText, self.port)
    }
}

extension Target.Host {
    /// Checks a name as it came from a client. `nil`: empty, longer than 255 bytes, not UTF-8, or with control characters
    /// or spaces in it, none of which a resolver could make sense of (and NUL would cut the name short in one).
    ///
    /// A literal address in place of a name ("127.0.0.1", "::1", "[::1]") is what clients send that never look at what
    /// the user typed; it becomes the address, so that nobody tries to resolve it.
    package init?(name bytes: some Collection<UInt8>) {
        guard (1...255).contains(bytes.count), bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7F }),
            let name = String(validating: bytes, as: UTF8.self)
        else { return nil }

        let unbracketed = name.hasPrefix("[") && name.hasSuffix("]") ? String(name.dropFirst().dropLast()) : name
        switch try? SocketAddress(ipAddress: unbracketed, port: 0) {
        case .v4(let address):
            // `s_addr` is in network order already: its bytes in memory are the address.
            self = .ipv4(withUnsafeBytes(of: address.address.sin_addr) { [UInt8]($0) })
        case .v6(let address):
            self = .ipv6(withUnsafeBytes(of: address.address.sin6_addr) { [UInt8]($0) })
        case .unixDomainSocket, nil:
            self = .name(name)
        }
    }
}
