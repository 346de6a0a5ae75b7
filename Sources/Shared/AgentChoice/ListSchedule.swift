import NIOCore

/// When the server is asked which agents there are.
struct ListSchedule {
    /// Since when an answer is awaited.
    private(set) var askedAt: NIODeadline?
    /// When to ask next.
    private(set) var next: NIODeadline
    private var answeredAt: NIODeadline?

    init(at now: NIODeadline) { self.next = now }

    /// Whether to ask now; the answer is awaited then.
    mutating func ask(at now: NIODeadline) -> Bool {
        guard self.askedAt == nil, self.next <= now else { return false }
        self.askedAt = now
        return true
    }

    /// The answer has come, or will not.
    mutating func answered(at now: NIODeadline, nextAfter interval: TimeAmount) {
        self.askedAt = nil
        self.answeredAt = now
        self.next = now + interval
    }

    /// The control connection is another one, or gone: no answer will come.
    mutating func forget() { self.askedAt = nil }

    /// What is known may be old: the next question is due.
    mutating func expire(at now: NIODeadline) { self.next = now }

    /// Somebody waits: the next question is due `interval` after the last answer.
    mutating func hurry(_ interval: TimeAmount) {
        if let answeredAt { self.next = min(self.next, answeredAt + interval) }
    }
}
