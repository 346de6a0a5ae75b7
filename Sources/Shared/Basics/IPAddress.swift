package import NIOCore

/// An IPv4 or IPv6 address as a number, so that blocks of addresses are prefixes of its bits.
package struct IPAddress: Hashable, Sendable {
    package enum Family: Hashable, Sendable {
        case v4
        case v6

        /// The length of an address in bits.
        package var width: Int {
            switch self {
            case .v4: 32
            case .v6: 128
            }
        }
    }

    package let family: Family
    /// The address in its lowest `family.width` bits, in network order.
    package let bits: UInt128

    package init(family: Family, bits: UInt128) {
        self.family = family
        self.bits = bits
    }

    /// The address of an IP socket address; nil for a UNIX domain socket.
    package init?(_ address: SocketAddress) {
        switch address {
        case .v4(let address):
            self.init(family: .v4, bits: withUnsafeBytes(of: address.address.sin_addr, Self.number))
        case .v6(let address):
            self.init(family: .v6, bits: withUnsafeBytes(of: address.address.sin6_addr, Self.number))
        case .unixDomainSocket:
            return nil
        }
    }

    /// Reads an address without brackets; nil when `text` is none.
    package init?(parsing text: String) {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        self.init(address)
    }

    private static func number(_ bytes: UnsafeRawBufferPointer) -> UInt128 {
        bytes.reduce(0) { $0 << 8 | UInt128($1) }
    }

    /// With a port.
    package func socketAddress(port: UInt16) -> SocketAddress? {
        var packed = ByteBuffer()
        switch self.family {
        case .v4: packed.writeInteger(UInt32(truncatingIfNeeded: self.bits))
        case .v6: packed.writeInteger(self.bits)
        }
        // Nil only for other lengths than these.
        return try? SocketAddress(packedIPAddress: packed, port: Int(port))
    }

    /// The address that a connection to this one really goes to: IPv4 for an IPv4-mapped one (RFC 4291 §2.5.5.2),
    /// loopback for the unspecified one (what Linux makes of it).
    package var canonical: IPAddress {
        switch (self.family, self.bits) {
        case (.v4, 0): return IPAddress(family: .v4, bits: 0x7F00_0001)
        case (.v6, 0): return IPAddress(family: .v6, bits: 1)
        case (.v6, let bits) where bits >> 32 == 0xFFFF:
            return IPAddress(family: .v4, bits: bits & 0xFFFF_FFFF).canonical
        default: return self
        }
    }

    /// The IPv4 addresses that a gateway would send packets for this IPv6 address on to, as far as the address says:
    ///
    /// | form | where the IPv4 address is |
    /// |---|---|
    /// | 6to4, 2002::/16 (RFC 3056 §2) | behind the first 16 bits |
    /// | NAT64, 64:ff9b::/96 (RFC 6052 §2.1), and the network's own 64:ff9b:1::/48 (RFC 8215) | by prefix length |
    /// | Teredo, 2001::/32 (RFC 4380 §4) | the server's behind the first 32 bits, the client's in the last 32, inverted |
    /// | ISATAP, an interface identifier of 0:5efe or 200:5efe (RFC 5214 §6.1) | in the last 32 bits |
    /// | IPv4-compatible, ::/96 (RFC 4291 §2.5.5.1) | in the last 32 bits |
    ///
    /// - Parameter nat64: further prefixes of translators.
    package func embeddedIPv4(nat64: [NAT64Prefix] = []) -> [IPAddress] {
        guard self.family == .v6 else { return [] }
        let last = IPAddress(family: .v4, bits: self.bits & 0xFFFF_FFFF)
        if self.bits >> 112 == 0x2002 { return [IPAddress(family: .v4, bits: self.bits >> 80 & 0xFFFF_FFFF)] }
        if self.bits >> 96 == 0x2001_0000 {
            let client = IPAddress(family: .v4, bits: ~self.bits & 0xFFFF_FFFF)
            return [IPAddress(family: .v4, bits: self.bits >> 64 & 0xFFFF_FFFF), client]
        }
        var found = (NAT64Prefix.wellKnown + nat64).compactMap { $0.embedded(in: self) }
        // With 96 bits of prefix, which a network may have chosen there, too (RFC 8215).
        if self.bits >> 80 == 0x0064_FF9B_0001, last.bits > 0xFFFF { found.append(last) }
        // The bit in front tells whether the IPv4 address is globally unique.
        if self.bits >> 32 & 0xFDFF_FFFF == 0x0000_5EFE { found.append(last) }
        // ::1 is loopback, not 0.0.0.1.
        if self.bits >> 32 == 0, self.bits > 0xFFFF { found.append(last) }
        return found
    }
}

/// The prefix of a translator between IPv6 and IPv4 (RFC 6052 §2.2): 32, 40, 48, 56, 64 or 96 bits, behind which the IPv4
/// address follows, with 8 bits of zero in the middle when the prefix is shorter than 96.
package struct NAT64Prefix: Hashable, Sendable {
    package let block: AddressBlock

    /// Nil when a translator's prefix has not this form.
    package init?(_ block: AddressBlock) {
        guard block.family == .v6, [32, 40, 48, 56, 64, 96].contains(block.prefixLength) else { return nil }
        self.block = block
    }

    /// 64:ff9b::/96 (RFC 6052 §2.1), and of 64:ff9b:1::/48 (RFC 8215) all lengths that a network may have chosen.
    static let wellKnown: [NAT64Prefix] = ["64:ff9b::/96", "64:ff9b:1::/48", "64:ff9b:1::/56", "64:ff9b:1::/64"]
        .compactMap { try? AddressBlock(parsing: $0) }.compactMap { NAT64Prefix($0) }

    /// The IPv4 address in `address`, nil when it has not this prefix.
    func embedded(in address: IPAddress) -> IPAddress? {
        guard self.block.contains(address) else { return nil }
        let behind = address.bits << UInt128(self.block.prefixLength)
        guard self.block.prefixLength < 96 else { return IPAddress(family: .v4, bits: behind >> 96) }
        // Bits 64 to 71 of the address are none of the IPv4 address.
        let inFront = UInt128(64 - self.block.prefixLength)
        let upper = inFront == 0 ? 0 : behind >> (128 - inFront)
        let rest = (behind << (inFront + 8)) >> (96 + inFront)
        return IPAddress(family: .v4, bits: upper << (32 - inFront) | rest)
    }
}
