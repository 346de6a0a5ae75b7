/// A block of addresses in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3).
struct AddressBlock: Hashable, Sendable {
    let family: IPAddress.Family
    /// The block's first address.
    let bits: UInt128
    /// How many leading bits all its addresses share: 0...`family.width`.
    let prefixLength: Int

    /// The block of the addresses that share the first `prefixLength` bits with `address`; nil when there are not so many.
    init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.family.width).contains(prefixLength) else { return nil }
        self.init(family: address.family, bits: address.bits, prefixLength: prefixLength)
    }

    private init(family: IPAddress.Family, bits: UInt128, prefixLength: Int) {
        let hostBits = family.width - prefixLength
        self.family = family
        self.bits = (bits >> UInt128(hostBits)) << UInt128(hostBits)
        self.prefixLength = prefixLength
    }

    /// All addresses of one family.
    static func all(_ family: IPAddress.Family) -> AddressBlock {
        AddressBlock(family: family, bits: 0, prefixLength: 0)
    }

    func contains(_ address: IPAddress) -> Bool {
        self.family == address.family && self.sharesPrefix(with: address.bits)
    }

    func contains(_ other: AddressBlock) -> Bool {
        self.family == other.family && self.prefixLength <= other.prefixLength && self.sharesPrefix(with: other.bits)
    }

    /// The two blocks of half the size, nil for a single address.
    var halves: (lower: AddressBlock, upper: AddressBlock)? {
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
