import NIOCore

/// Receive window of one stream (RFC 9000 §4.1), which grows as far as its consumer keeps up.
///
/// ngtcp2's own tuning, which is off, knows the time between updates, and not what holds a consumer up.
struct StreamWindow {
    /// What the peer may have sent and the application not yet consumed, in bytes.
    private(set) var size: Int
    private let limit: Int
    /// Consumed since `lastTurn`.
    private var consumed = 0
    /// When half a window had been consumed the last time, or the first bytes.
    private var lastTurn: NIODeadline?

    /// Both in bytes, `initial` no more than `limit`.
    init(initial: Int, limit: Int) {
        self.size = initial
        self.limit = limit
    }

    /// The application is done with `count` bytes. Returns how much credit to give the peer, in bytes: more than `count` when
    /// half of the window was used up within four round trips, so that it may be what holds the peer back: a byte that was
    /// lost holds up those behind it for more than one.
    mutating func consumed(_ count: Int, at now: NIODeadline, roundTrip: () -> TimeAmount) -> Int {
        self.consumed += count
        guard self.consumed > self.size / 2 else {
            if self.lastTurn == nil { self.lastTurn = now }
            return count
        }
        self.consumed = 0
        defer { self.lastTurn = now }
        guard let lastTurn, now - lastTurn < roundTrip() * 4 else { return count }
        let growth = min(self.size, self.limit - self.size)
        self.size += growth
        return count + growth
    }
}
