/// Amounts of bytes for people, in powers of 1000.
package enum ByteText {
    private static let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]

    /// `0 B`, `999 B`, `1.2 kB`, `340 MB`.
    package static func size(_ bytes: UInt64) -> String {
        var value = Double(bytes)
        var unit = 0
        // What would be rounded up to 1000 belongs to the next unit.
        while value >= 999.5, unit < Self.units.count - 1 {
            value /= 1000
            unit += 1
        }
        let isShort = unit > 0 && value < 9.95
        return "\(isShort ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))") \(Self.units[unit])"
    }

    /// As above, each second: `1.2 MB/s`.
    package static func rate(_ bytesPerSecond: Double) -> String {
        let bounded = bytesPerSecond.isFinite ? min(max(0, bytesPerSecond), 1e18) : 0
        return "\(self.size(UInt64(bounded)))/s"
    }
}
