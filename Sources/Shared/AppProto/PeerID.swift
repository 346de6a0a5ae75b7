import Basics

/// Names one peer channel in every message about it: 16 random bytes made by the client.
package struct PeerID: Hashable, Sendable, CustomStringConvertible {
    /// The first eight bytes, and the other eight, each big-endian.
    let high: UInt64
    let low: UInt64

    /// `nil` unless `bytes` has exactly 16 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        self.low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A fresh id from the system's secure generator.
    package static func random() -> PeerID {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }

    /// A fresh id; `generator` must be cryptographically secure outside tests.
    package static func random(using generator: inout some RandomNumberGenerator) -> PeerID {
        PeerID(high: generator.next(), low: generator.next())
    }

    /// The 16 bytes as they go over the wire.
    package var bytes: [UInt8] {
        [self.high, self.low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }

    /// 32 lower-case hex digits.
    package var description: String { Hex.text(self.high, digits: 16) + Hex.text(self.low, digits: 16) }
}
