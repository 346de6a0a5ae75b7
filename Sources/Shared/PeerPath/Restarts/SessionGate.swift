import NIOCore

/// At the agent: lets a client have new ICE sessions one after the other, and no more often than any client has reason to
/// ask, since each of them takes sockets and sends checks. Of those that wait the newest counts. A value without clock or
/// timer.
struct SessionGate<Request> {
    private var waiting: Request?
    private var isBusy = false
    private var earliest = NIODeadline.uptimeNanoseconds(0)

    /// A session is asked for. Returns the request that has waited in vain.
    mutating func submit(_ request: Request) -> Request? {
        defer { self.waiting = request }
        return self.waiting
    }

    /// The request to open a session for now, to be followed by `finish()`; nil when there is none, or it has to wait.
    mutating func begin(at now: NIODeadline) -> Request? {
        guard !self.isBusy, now >= self.earliest, let request = self.waiting else { return nil }
        self.waiting = nil
        self.isBusy = true
        self.earliest = now + RestartSchedule.spacing
        return request
    }

    /// The session that was begun is open, or could not be opened.
    mutating func finish() { self.isBusy = false }

    /// When to call `begin` for the request that waits; nil when none does, or another one is not finished.
    var nextDeadline: NIODeadline? { self.isBusy || self.waiting == nil ? nil : self.earliest }

    /// Nothing more is to be opened. Returns the request that waits.
    mutating func withdraw() -> Request? {
        defer { self.waiting = nil }
        return self.waiting
    }
}
