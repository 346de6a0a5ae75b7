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
    /// Looks at a carrier on the bridge that misses answers, before its route is doubted; then twice as many each time.
    private static let firstSuspicion = 2
    /// So many looks in a row at a carrier that misses answers, and what it has measured is of no more use.
    private static let longSilence = 3

    /// Of the newest session that both sides know.
    var generation: UInt32 = 0
    /// Of the last session that was asked for: an answer that comes too late must not be taken for that of a later request.
    private var lastAsked: UInt32 = 0
    /// Whether the newest session has found a direct path at any time.
    private(set) var hasFoundDirectPath = false
    /// No request before this.
    private(set) var earliest = NIODeadline.uptimeNanoseconds(0)
    private var wanted: Kind?
    private var underway: Kind?
    private var failures = 0
    private var suspicions = 0
    private var looksInSilence = 0
    private var suspicionsNeeded = Self.firstSuspicion

    // MARK: Requests

    /// Whether something is to be asked for that has not been yet.
    var isWanted: Bool { self.wanted != nil }

    mutating func want(_ kind: Kind) {
        self.wanted = max(kind, self.wanted ?? kind)
    }

    /// What to ask for now; nil when nothing is wanted, or a request is under way.
    mutating func begin(at now: NIODeadline) -> Kind? {
        guard self.underway == nil, let kind = self.wanted else { return nil }
        self.wanted = nil
        self.underway = kind
        self.earliest = now + Self.spacing
        return kind
    }

    /// The generation to ask for next; nil when they are used up.
    mutating func nextGeneration() -> UInt32? {
        let last = max(self.generation, self.lastAsked)
        guard last < .max else { return nil }
        self.lastAsked = last + 1
        return last + 1
    }

    /// Returns what had been asked for.
    mutating func succeeded() -> Kind? {
        defer { self.underway = nil }
        if self.underway == .route { self.failures = 0 }
        return self.underway
    }

    /// A session is new: it has found nothing yet.
    mutating func sessionBegan() {
        self.hasFoundDirectPath = false
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

    // MARK: What happens meanwhile

    /// What made requests fail is over.
    mutating func forgetFailures() { self.failures = 0 }

    mutating func foundDirectPath() {
        self.hasFoundDirectPath = true
        self.failures = 0
    }

    /// The loss has been taken care of: the next one counts for the session that follows.
    mutating func lostDirectPath() {
        self.hasFoundDirectPath = false
    }

    /// Returns whether it has been suspect for long.
    mutating func carrierIsWell() -> Bool {
        let wasSilent = self.looksInSilence >= Self.longSilence
        self.looksInSilence = 0
        self.suspicions = 0
        self.suspicionsNeeded = Self.firstSuspicion
        return wasSilent
    }

    /// A carrier misses answers. Returns whether it has for so long that, on the bridge, the route is in doubt.
    mutating func carrierIsSuspect() -> Bool {
        self.suspicions += 1
        self.looksInSilence += 1
        guard self.suspicions >= self.suspicionsNeeded else { return false }
        self.suspicions = 0
        self.suspicionsNeeded = min(self.suspicionsNeeded * 2, 10)
        return true
    }
}
