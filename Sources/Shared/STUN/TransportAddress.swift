import Basics
package import NIOCore

/// An IP address and a UDP port as they go over the wire: no scope id, no flow label, no host name.
///
/// Small, hashable and comparable to what a peer reports, unlike `SocketAddress`, whose equality includes the scope
/// id that only this machine knows. An IPv4-mapped IPv6 address (`::ffff:a.b.c.d`, what a dual-stack socket shows
/// for an IPv4 peer) becomes the IPv4 address that it stands for.
package struct TransportAddress: Hashable, Sendable {
    /// The address families of RFC 8489 §14.1, with their numbers on the wire.
    package enum Family: UInt8, Sendable {
        case ipv4 = 1
        case ipv6 = 2
    }

    package let family: Family
    /// The upper half of an IPv6 address, 0 for IPv4.
    let high: UInt64
    /// The lower half of an IPv6 address, or the 32 bits of an IPv4 address.
    let low: UInt64
    /// 0...65535
    package let port: UInt16

    /// An IPv4 address in host byte order.
    package init(ipv4 address: UInt32, port: UInt16) {
        self.family = .ipv4
        self.high = 0
        self.low = UInt64(address)
        self.port = port
    }

    /// An IPv6 address as two halves in host byte order. IPv4-mapped addresses stay IPv6: what a message says is kept.
    package init(ipv6 high: UInt64, _ low: UInt64, port: UInt16) {
        self.family = .ipv6
        self.high = high
        self.low = low
        self.port = port
    }

    /// Nil for a Unix-domain address.
    package init?(_ address: SocketAddress) {
        switch address {
        case .v4(let v4):
            let raw = v4.address
            self.init(ipv4: UInt32(bigEndian: raw.sin_addr.s_addr), port: UInt16(bigEndian: raw.sin_port))
        case .v6(let v6):
            let raw = v6.address
            let (high, low) = withUnsafeBytes(of: raw.sin6_addr) { bytes in
                (
                    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                )
            }
            let port = UInt16(bigEndian: raw.sin6_port)
            if high == 0, low >> 32 == 0xFFFF {
                self.init(ipv4: UInt32(truncatingIfNeeded: low), port: port)
            } else {
                self.init(ipv6: high, low, port: port)
            }
        case .unixDomainSocket:
            return nil
        }
    }

    /// 4 or 16 bytes in network order.
    package var octets: [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(16)
        if self.family == .ipv6 {
            withUnsafeBytes(of: self.high.bigEndian) { bytes.append(contentsOf: $0) }
            withUnsafeBytes(of: self.low.bigEndian) { bytes.append(contentsOf: $0) }
        } else {
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: self.low).bigEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    /// The same address as NIO's type, scope id 0. Nil never happens: the octets are always 4 or 16 bytes.
    package var socketAddress: SocketAddress? {
        try? SocketAddress(packedIPAddress: ByteBuffer(bytes: self.octets), port: Int(self.port))
    }

    /// The same host with another port.
    package func with(port: UInt16) -> TransportAddress {
        self.family == .ipv4
            ? TransportAddress(ipv4: UInt32(truncatingIfNeeded: self.low), port: port)
            : TransportAddress(ipv6: self.high, self.low, port: port)
    }

    /// 127.0.0.0/8 or ::1
    package var isLoopback: Bool {
        self.family == .ipv4 ? self.low >> 24 == 127 : self.high == 0 && self.low == 1
    }

    /// fe80::/10. An IPv4 link-local address is not meant: RFC 8445 treats it like any other.
    package var isIPv6LinkLocal: Bool {
        self.family == .ipv6 && self.high >> 54 == 0xFE80 >> 6
    }

    /// 0.0.0.0 or ::
    package var isUnspecified: Bool {
        self.high == 0 && self.low == 0
    }

    /// 224.0.0.0/4, ff00::/8, or 255.255.255.255
    package var isMulticastOrBroadcast: Bool {
        self.family == .ipv4
            ? self.low >> 28 == 0xE || self.low == 0xFFFF_FFFF
            : self.high >> 56 == 0xFF
    }
}

extension TransportAddress: CustomStringConvertible {
    /// `192.0.2.1:3478` or `[2001:db8::1]:3478`
    package var description: String {
        guard let address = self.socketAddress, let ip = address.ipAddress else {
            return "unprintable address"
        }
        return hostWithPort(ip, self.port)
    }
}
