/// A number of bits per second.
struct BitRate: Hashable, Sendable {
    /// More than 0.
    let bitsPerSecond: UInt64
}

extension BitRate {
    /// Why a text is no rate.
    struct ParsingError: Error, Equatable, CustomStringConvertible {
        let text: String

        /// What is wrong, and what would be right.
        var description: String {
            "\"\(self.text)\" is not a rate; expected bits per second, decimal, with a unit or without: 500k, 10M, 1.5G, "
                + "2000000, or 0 for no limit"
        }
    }

    /// What nothing needs to be faster than: 1 Tbit/s.
    private static let highest = 1_000_000_000_000

    /// Reads `500k`, `10M`, `1.5G` (thousands, millions, thousand millions of bits per second) or a bare number of bits per
    /// second. nil for 0: no limit. The unit's case does not matter. At most 1 Tbit/s.
    static func parse(_ text: String) throws(ParsingError) -> BitRate? {
        let error = ParsingError(text: text)
        let digits: ClosedRange<Character> = "0"..."9"
        let number = text.prefix { $0 == "." || digits.contains($0) }
        let scale: Int
        switch text[number.endIndex...].lowercased() {
        case "": scale = 1
        case "k": scale = 1000
        case "m": scale = 1_000_000
        case "g": scale = 1_000_000_000
        default: throw error
        }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count, parts.allSatisfy({ !$0.isEmpty }), parts[0].count <= 13,
            let whole = Int(parts[0])
        else { throw error }
        var thousandths = 0
        if parts.count == 2 {
            let fraction = parts[1].prefix(3)
            guard let value = Int(fraction + String(repeating: "0", count: 3 - fraction.count)) else { throw error }
            thousandths = value
        }
        // 13 digits times 10⁹ would not fit; 10¹² is more than enough.
        guard whole <= Self.highest / scale else { throw error }
        let rate = whole * scale + thousandths * scale / 1000
        guard rate <= Self.highest else { throw error }
        // Half a bit per second is no limit anybody means; nor is 0.5 without a unit.
        guard rate > 0 || !number.contains(where: { "1"..."9" ~= $0 }) else { throw error }
        return rate == 0 ? nil : BitRate(bitsPerSecond: UInt64(rate))
    }
}
