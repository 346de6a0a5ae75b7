import Basics
import CommandSupport
import NIOCore

/// Numbers as people read them, besides `ByteText`. The page has the same in its script.
enum Quantity {
    /// `1.2 ms`, `12 ms`, `3.4 s`.
    static func milliseconds(_ value: Double) -> String {
        if value < 9.95 { return Self.withTenths(value) + " ms" }
        return value < 999.5 ? "\(Int(value.rounded())) ms" : Self.withTenths(value / 1000) + " s"
    }

    /// A length of time in its two largest units: `12 s`, `5 h 12 min`.
    static func duration(milliseconds: UInt64) -> String {
        TimeAmount.milliseconds(Int64(clamping: min(milliseconds, 1 << 42))).words
    }

    private static func withTenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
