package import NIOCore

/// Keeps one kind of log line from flooding the log: at most one per interval, with the number of those left out.
package struct LogRateLimiter: Sendable {
    private let interval: TimeAmount
    private var nextAllowed: NIODeadline?
    private var suppressed = 0

    /// At most one line per `interval`.
    package init(interval: TimeAmount = .seconds(10)) {
        self.interval = interval
    }

    /// Call it for every occurrence. Returns the number of occurrences to report, this one included, when a line may be
    /// written now, else nil.
    package mutating func occurrences(at now: NIODeadline) -> Int? {
        if let nextAllowed = self.nextAllowed, now < nextAllowed {
            self.suppressed += 1
            return nil
        }
        let count = self.suppressed + 1
        self.suppressed = 0
        self.nextAllowed = now + self.interval
        return count
    }

    /// When ``summary(at:)`` has something to report; nil while nothing was left out.
    package var nextSummary: NIODeadline? { self.suppressed > 0 ? self.nextAllowed : nil }

    /// Call it at ``nextSummary``, for those that no further occurrence will report. Returns the number of occurrences to
    /// report now, else nil.
    package mutating func summary(at now: NIODeadline) -> Int? {
        guard let nextSummary = self.nextSummary, now >= nextSummary else { return nil }
        defer { self.suppressed = 0 }
        self.nextAllowed = now + self.interval
        return self.suppressed
    }
}
