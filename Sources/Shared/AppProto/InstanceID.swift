import Basics

/// Names one run of one agent process: 128 random bits made by the server, as 32 lower-case hex digits.
package struct InstanceID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    /// `nil` unless `rawValue` is exactly 32 lower-case hex digits.
    package init?(rawValue: String) {
        guard rawValue.utf8.count == 32, rawValue.utf8.allSatisfy(isLowercaseHexDigit) else { return nil }
        self.rawValue = rawValue
    }

    private init(bits high: UInt64, _ low: UInt64) {
        self.rawValue = Hex.text(high, digits: 16) + Hex.text(low, digits: 16)
    }

    /// A fresh id from the system's secure generator.
    package static func random() -> InstanceID {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }

    /// A fresh id; `generator` must be cryptographically secure outside tests.
    package static func random(using generator: inout some RandomNumberGenerator) -> InstanceID {
        InstanceID(bits: generator.next(), generator.next())
    }

    package var description: String { self.rawValue }
}

private func isLowercaseHexDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
}
