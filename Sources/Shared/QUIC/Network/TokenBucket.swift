import NIOCore

/// Lets a limited number of things happen per second.
struct TokenBucket {
    private let perSecond: Int
    private var tokens: Int
    private var refilled: NIODeadline

    init(perSecond: Int, at now: NIODeadline) {
        self.perSecond = perSecond
        self.tokens = perSecond
        self.refilled = now
    }

    /// Takes one token; false when there is none left in this second.
    mutating func take(at now: NIODeadline) -> Bool {
        if now - self.refilled >= .seconds(1) {
            self.tokens = self.perSecond
            self.refilled = now
        }
        guard self.tokens > 0 else { return false }
        self.tokens -= 1
        return true
    }
}
