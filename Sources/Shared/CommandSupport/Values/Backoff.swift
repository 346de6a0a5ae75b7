package import NIOCore

/// Waits between attempts: exponential with full jitter, so that many programs that lost the same peer come back spread out.
package struct Backoff: Sendable {
    /// The longest possible first wait.
    package let initial: TimeAmount
    /// The longest possible wait.
    package let maximum: TimeAmount
    private var ceiling: TimeAmount

    /// Waits of up to `initial`, doubling to `maximum`.
    package init(initial: TimeAmount = .milliseconds(500), maximum: TimeAmount = .seconds(30)) {
        self.initial = initial
        self.maximum = maximum
        self.ceiling = initial
    }

    /// How long to wait before the next attempt: anything from 0 to the current ceiling, which then doubles.
    package mutating func next(using generator: inout some RandomNumberGenerator) -> TimeAmount {
        let wait = Int64.random(in: 0...max(0, self.ceiling.nanoseconds), using: &generator)
        self.ceiling = min(self.maximum, .nanoseconds(self.ceiling.nanoseconds.multipliedReportingOverflow(by: 2).partialValue))
        return .nanoseconds(wait)
    }

    /// Call it after a success: the next wait is short again.
    package mutating func reset() {
        self.ceiling = self.initial
    }
}
