import NIOCore

/// When a client asks for a new ICE session or for its route through the server. A value without clock or timer.
struct RestartSchedule {
    /// What is asked for; the greater includes the lesser.
    enum Kind: Int, Comparable {
        /// That the server knows the channel again: candidates and the bridge need it.
        case route
        /// A new ICE session, and the route.
        case session

        static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }
    }

    /// Requests are at least this far apart: several events often tell of one cause.
    static let spacing = TimeAmount.milliseconds(500)
    /// After failures, doubling from the first to the last.
    private static let delays = (first: TimeAmount.seconds(1), last: TimeAmount.seconds(8))

    /// Of the last session that was asked for: an answer that comes too late must not be taken for that of a later request.
    private var lastAsked: UInt32 = 0
    /// When the next request is made; nil while none is wanted, or while that has to wait for something else.
    private(set) var due: NIODeadline?
    /// No request before this.
    private var earliest = NIODeadline.uptimeNanoseconds(0)
    private var wanted: Kind?
    private var underway: Kind?
    private var failures = 0

    /// A request is to be made after `delay` at the latest; one that is due earlier stands.
    mutating func want(_ kind: Kind, after delay: TimeAmount, at now: NIODeadline) {
        self.wanted = max(kind, self.wanted ?? kind)
        self.arm(now + delay)
    }

    private mutating func arm(_ deadline: NIODeadline) {
        let deadline = max(deadline, self.earliest)
        self.due = self.due.map { min($0, deadline) } ?? deadline
    }

    /// What to ask for now; nil when nothing is due, or a request is under way.
    ///
    /// - Parameter canAsk: false without a control connection: there is nobody to ask, and what is wanted stays so.
    mutating func begin(at now: NIODeadline, canAsk: Bool) -> Kind? {
        guard let due = self.due, now >= due else { return nil }
        self.due = nil
        guard canAsk, self.underway == nil, let kind = self.wanted else { return nil }
        self.wanted = nil
        self.underway = kind
        self.earliest = now + Self.spacing
        return kind
    }

    /// The generation to ask for, beyond the newest one that both sides know; nil when they are used up.
    mutating func nextGeneration(after newest: UInt32) -> UInt32? {
        let last = max(newest, self.lastAsked)
        guard last < .max else { return nil }
        self.lastAsked = last + 1
        return last + 1
    }

    /// Whether a session of this generation is what is being asked for.
    func asksFor(_ generation: UInt32) -> Bool { self.underway == .session && self.lastAsked == generation }

    /// Returns what had been asked for.
    mutating func succeeded() -> Kind? {
        defer { self.underway = nil }
        if self.underway == .route { self.failures = 0 }
        if self.wanted != nil { self.arm(self.earliest) }
        return self.underway
    }

    /// - Returns: what is still to be asked for.
    mutating func failed() -> Kind {
        let kind = self.underway ?? .route
        self.underway = nil
        return kind
    }

    /// How long to wait before the next try.
    mutating func delayAfterFailure() -> TimeAmount {
        let delay = min(Self.delays.first * Int64(1 << min(self.failures, 8)), Self.delays.last)
        self.failures += 1
        return delay
    }

    /// What made requests fail is over.
    mutating func forgetFailures() { self.failures = 0 }
}
