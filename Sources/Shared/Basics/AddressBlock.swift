/// A block of addresses in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), in the one form that all comparisons use: a block of
/// IPv4-mapped IPv6 addresses is the block of the IPv4 addresses that they stand for.
package struct AddressBlock: Hashable, Sendable {
    package let family: IPAddress.Family
    /// The block's first address.
    package let bits: UInt128
    /// How many leading bits all its addresses share: 0...`family.width`.
    package let prefixLength: Int

    /// The block of the addresses that share the first `prefixLength` bits with `address`; nil when there are not so many.
    package init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.family.width).contains(prefixLength) else { return nil }
        // Connections to ::ffff:0:0/96 go to IPv4 addresses, and those are what is compared (RFC 4291 §2.5.5.2).
        if address.family == .v6, prefixLength >= 96, address.bits >> 32 == 0xFFFF {
            self.init(family: .v4, bits: address.bits & 0xFFFF_FFFF, prefixLength: prefixLength - 96)
        } else {
            self.init(family: address.family, bits: address.bits, prefixLength: prefixLength)
        }
    }

    private init(family: IPAddress.Family, bits: UInt128, prefixLength: Int) {
        let hostBits = family.width - prefixLength
        self.family = family
        self.bits = (bits >> UInt128(hostBits)) << UInt128(hostBits)
        self.prefixLength = prefixLength
    }

    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    package init(parsing text: some StringProtocol) throws(AddressBlockError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress(parsing: String($0)) }) else { throw .invalidAddress }
        let width = address.family.width
        let length = parts.count == 2 ? Self.number(parts[1], upTo: width) : width
        guard let length, let block = AddressBlock(address, prefixLength: length) else {
            throw .invalidPrefixLength(maximum: width)
        }
        // 10.1.2.3/8 is more likely a slip than a wish: say so instead of widening or narrowing what is meant.
        guard AddressBlock(family: address.family, bits: address.bits, prefixLength: length).bits == address.bits else {
            throw .hostBitsSet
        }
        self = block
    }

    private static func number(_ digits: some StringProtocol, upTo maximum: Int) -> Int? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
            number <= maximum
        else { return nil }
        return number
    }

    /// All addresses of one family.
    package static func all(_ family: IPAddress.Family) -> AddressBlock {
        AddressBlock(family: family, bits: 0, prefixLength: 0)
    }

    /// Whether the block has an address, which is compared as it is: ``IPAddress/canonical`` is the caller's.
    package func contains(_ address: IPAddress) -> Bool {
        self.family == address.family && self.sharesPrefix(with: address.bits)
    }

    package func contains(_ other: AddressBlock) -> Bool {
        self.family == other.family && self.prefixLength <= other.prefixLength && self.sharesPrefix(with: other.bits)
    }

    /// The two blocks of half the size, nil for a single address.
    package var halves: (lower: AddressBlock, upper: AddressBlock)? {
        guard self.prefixLength < self.family.width else { return nil }
        let length = self.prefixLength + 1
        let upperBit = UInt128(1) << UInt128(self.family.width - length)
        return (
            AddressBlock(family: self.family, bits: self.bits, prefixLength: length),
            AddressBlock(family: self.family, bits: self.bits | upperBit, prefixLength: length)
        )
    }

    private func sharesPrefix(with other: UInt128) -> Bool {
        (self.bits ^ other) >> UInt128(self.family.width - self.prefixLength) == 0
    }
}

/// Why a text is no block of addresses.
package enum AddressBlockError: Error, Hashable, CustomStringConvertible {
    case invalidAddress
    case invalidPrefixLength(maximum: Int)
    case hostBitsSet

    package var description: String {
        switch self {
        case .invalidAddress: "it does not start with an IP address; names are not possible here"
        case .invalidPrefixLength(let maximum): "its prefix length is not a number from 0 to \(maximum)"
        case .hostBitsSet: "the address has bits set behind its prefix; write the block's first address"
        }
    }
}
