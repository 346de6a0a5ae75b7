import NIOCore

/// An IPv4 or IPv6 address as a number, so that blocks of addresses are prefixes of its bits.
struct IPAddress: Hashable, Sendable {
    enum Family: Hashable, Sendable {
        case v4
        case v6

        /// The length of an address in bits.
        var width: Int {
            switch self {
            case .v4: 32
            case .v6: 128
            }
        }
    }

    let family: Family
    /// The address in its lowest `family.width` bits, in network order.
    let bits: UInt128

    init(family: Family, bits: UInt128) {
        self.family = family
        self.bits = bits
    }

    /// The address of an IP socket address; nil for a UNIX domain socket.
    init?(_ address: SocketAddress) {
        switch address {
        case .v4(let address):
            self.init(family: .v4, bytes: withUnsafeBytes(of: address.address.sin_addr) { Array($0) })
        case .v6(let address):
            self.init(family: .v6, bytes: withUnsafeBytes(of: address.address.sin6_addr) { Array($0) })
        case .unixDomainSocket:
            return nil
        }
    }

    /// Reads an address without brackets; nil when `text` is none.
    init?(parsing text: String) {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        self.init(address)
    }

    private init(family: Family, bytes: [UInt8]) {
        self.init(family: family, bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
    }

    /// The address that a connection to this one really goes to: IPv4 for an IPv4-mapped one (RFC 4291 section 2.5.5.2),
    /// loopback for the unspecified one (what Linux makes of it).
    var canonical: IPAddress {
        switch (self.family, self.bits) {
        case (.v4, 0): return IPAddress(family: .v4, bits: 0x7F00_0001)
        case (.v6, 0): return IPAddress(family: .v6, bits: 1)
        case (.v6, let bits) where bits >> 32 == 0xFFFF:
            return IPAddress(family: .v4, bits: bits & 0xFFFF_FFFF).canonical
        default: return self
        }
    }

    /// The IPv4 address that a gateway would send packets for this IPv6 address on to: 6to4 (2002::/16, RFC 3056
    /// section 2), NAT64 (64:ff9b::/96, RFC 6052 section 2.1), IPv4-compatible (::/96, RFC 4291 section 2.5.5.1).
    var embeddedIPv4: IPAddress? {
        guard self.family == .v6 else { return nil }
        if self.bits >> 112 == 0x2002 {
            return IPAddress(family: .v4, bits: self.bits >> 80 & 0xFFFF_FFFF)
        }
        let isNAT64 = self.bits >> 32 == 0x0064_FF9B_0000_0000_0000_0000
        // ::1 is loopback, not 0.0.0.1.
        let isIPv4Compatible = self.bits >> 32 == 0 && self.bits > 0xFFFF
        return isNAT64 || isIPv4Compatible ? IPAddress(family: .v4, bits: self.bits & 0xFFFF_FFFF) : nil
    }
}
