package import NIOCore

/// A unit that a length of time is given in.
package enum TimeUnit: String, Sendable, CaseIterable {
    case milliseconds = "ms"
    case seconds = "s"
    case minutes = "m"
    case hours = "h"
    case days = "d"

    var nanoseconds: Int64 {
        switch self {
        case .milliseconds: 1_000_000
        case .seconds: 1_000_000_000
        case .minutes: 60 * 1_000_000_000
        case .hours: 3600 * 1_000_000_000
        case .days: 86400 * 1_000_000_000
        }
    }
}

/// Why a text is no length of time.
package struct TimeParsingError: Error, Equatable, CustomStringConvertible {
    let text: String
    let bareUnit: TimeUnit

    /// What is wrong, and what would be right.
    package var description: String {
        "\"\(self.text)\" is not a length of time; expected a number (of \(self.bareUnit)), or one with a unit: "
            + "500ms, 90s, 1.5m, 2h, 7d"
    }
}

extension TimeAmount {
    /// Reads `90s`, `2h`, `500ms`, `1.5m`, `7d`, or a bare number that counts `bareUnit`s.
    ///
    /// Digits behind the ninth decimal place are ignored. At most 100 years, so that adding it to any clock is safe.
    package init(parsing text: String, bareUnit: TimeUnit) throws(TimeParsingError) {
        let error = TimeParsingError(text: text, bareUnit: bareUnit)
        let number = text.prefix { $0 == "." || Self.digits.contains($0) }
        let suffix = String(text[number.endIndex...])
        guard let unit = suffix.isEmpty ? bareUnit : TimeUnit(rawValue: suffix) else { throw error }

        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else { throw error }
        let fraction = parts.count == 2 ? parts[1].prefix(9) : ""
        let billionths = fraction + String(repeating: "0", count: 9 - fraction.count)
        // 100 years are 13 digits of milliseconds: the product below stays far inside 128 bits.
        guard parts[0].count <= 13, let value = Int128(parts[0] + billionths) else { throw error }
        let total = value * Int128(unit.nanoseconds) / 1_000_000_000
        guard total <= Self.hundredYears, let nanoseconds = Int64(exactly: total) else { throw error }
        self = .nanoseconds(nanoseconds)
    }

    private static let digits: ClosedRange<Character> = "0"..."9"
    private static let hundredYears = Int128(100 * 365) * Int128(TimeUnit.days.nanoseconds)
}
