package import NIOCore

extension TimeAmount {
    /// The length for people, in one or two units and rounded down: `0 s`, `12 s`, `5 min`, `1 h 5 min`, `3 days`.
    package var words: String {
        let seconds = max(0, self.nanoseconds / 1_000_000_000)
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600, seconds / 60)
        return switch seconds {
        case ..<60: "\(seconds) s"
        case ..<600: Self.words(minutes, "min", seconds % 60, "s")
        case ..<3600: "\(minutes) min"
        case ..<86_400: Self.words(hours, "h", minutes % 60, "min")
        case ..<172_800: Self.words(1, "day", hours % 24, "h")
        default: "\(days) days"
        }
    }

    /// Whole seconds, rounded down, for logs.
    package var wholeSeconds: Int64 { self.nanoseconds / 1_000_000_000 }

    private static func words(_ large: Int64, _ largeUnit: String, _ small: Int64, _ smallUnit: String) -> String {
        small == 0 ? "\(large) \(largeUnit)" : "\(large) \(largeUnit) \(small) \(smallUnit)"
    }
}
