import Basics

/// Names one run of one agent process: 128 bits made by the server, as 32 lower-case hex digits.
///
/// Ids that belong to keys begin with ``keyMark``, and no others do. So nobody gets one with a resume token, which whoever has
/// the secret can make for any id.
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

    /// ASCII for "ID": the first digits of an id that belongs to a key. 112 bits are left.
    package static let keyMark = "4944"

    /// The id of a process that has proved a key. `hash` covers the key and the process's nonce, and has at least 14 bytes.
    package init(keyHash hash: [UInt8]) {
        precondition(hash.count >= 14, "an instance id takes 14 bytes of a hash")
        self.rawValue = Self.keyMark + Hex.text(hash.prefix(14))
    }

    /// Whether it belongs to a key.
    package var belongsToKey: Bool { self.rawValue.hasPrefix(Self.keyMark) }

    /// A fresh id from the system's secure generator.
    package static func random() -> InstanceID {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }

    /// A fresh id of no key; `generator` must be cryptographically secure outside tests.
    package static func random(using generator: inout some RandomNumberGenerator) -> InstanceID {
        let id = InstanceID(bits: generator.next(), generator.next())
        // Once in 65 536 times.
        return id.belongsToKey ? .random(using: &generator) : id
    }

    package var description: String { self.rawValue }
}

private func isLowercaseHexDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
}
