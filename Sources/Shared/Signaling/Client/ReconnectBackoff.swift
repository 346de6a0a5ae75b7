import NIOCore

/// Exponential backoff with full jitter: each wait is random between nothing and a bound that doubles from 0.5 s to 30 s, so that
/// many peers of a server that was restarted do not all come back at the same moment.
struct ReconnectBackoff {
    private static let first = TimeAmount.milliseconds(500)
    private static let longest = TimeAmount.seconds(30)

    private var bound = Self.first

    /// The next wait.
    mutating func next(using generator: inout some RandomNumberGenerator) -> TimeAmount {
        let wait = TimeAmount.nanoseconds(.random(in: 0...self.bound.nanoseconds, using: &generator))
        self.bound = min(self.bound * 2, Self.longest)
        return wait
    }

    /// Starts over, after a connection that lived.
    mutating func reset() {
        self.bound = Self.first
    }
}
