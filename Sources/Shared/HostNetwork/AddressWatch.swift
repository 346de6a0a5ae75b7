import NIOCore

/// Decides when to look at this machine's addresses, and whether there is anything to tell. Time is one that goes on while
/// the machine sleeps.
struct AddressWatch {
    struct Timing {
        /// A burst of messages is over when there was none for this long: an interface that comes up has several.
        var settleTime = TimeAmount.milliseconds(300)
        /// A burst that does not end is not waited for longer than this.
        var longestBurst = TimeAmount.seconds(2)
        /// Where the kernel does not say that something has changed, or could not be asked just now.
        var pollInterval = NetworkNews.pollInterval
        /// How often to see whether time has passed unnoticed.
        var heartbeat = TimeAmount.seconds(5)
        /// To be woken this much too late is a standstill.
        var standstill = TimeAmount.seconds(10)
    }

    private struct Burst {
        let began: NIODeadline
        var lastMessage: NIODeadline
    }

    private let timing: Timing
    private var state: NetworkState
    private var burst: Burst?
    private var hasStoodStill = false
    private var lastLook: NIODeadline
    /// When the owner means to be back at the latest.
    private var nextWake: NIODeadline

    init(state: NetworkState, timing: Timing = Timing(), at now: NIODeadline) {
        self.state = state
        self.timing = timing
        self.lastLook = now
        self.nextWake = now
    }

    /// Something has happened since the last look; messages may wait until it is due.
    var isInBurst: Bool { self.burst != nil }

    /// How long to wait for messages at most. `isTold`: the kernel says when something changes.
    mutating func wait(isTold: Bool, at now: NIODeadline) -> TimeAmount {
        self.nextWake = min(now + self.timing.heartbeat, self.nextLook(isTold: isTold) ?? .distantFuture)
        return max(.zero, self.nextWake - now)
    }

    /// The wait is over. `hasNews`: messages have come meanwhile.
    mutating func woke(hasNews: Bool, at now: NIODeadline) {
        if now - self.nextWake > self.timing.standstill {
            self.hasStoodStill = true
        }
        if hasNews || (self.hasStoodStill && self.burst == nil) {
            self.burst = Burst(began: self.burst?.began ?? now, lastMessage: now)
        }
    }

    /// Whether to look now.
    func isDue(isTold: Bool, at now: NIODeadline) -> Bool {
        self.nextLook(isTold: isTold).map { now >= $0 } ?? false
    }

    private func nextLook(isTold: Bool) -> NIODeadline? {
        if let burst = self.burst {
            return min(burst.lastMessage + self.timing.settleTime, burst.began + self.timing.longestBurst)
        }
        return isTold ? nil : self.lastLook + self.timing.pollInterval
    }

    /// Somebody has looked. Returns what there is to tell.
    mutating func found(_ state: NetworkState, at now: NIODeadline) -> AddressChange? {
        let change = AddressChange(before: self.state, after: state, isAfterStandstill: self.hasStoodStill)
        self.state = state
        self.burst = nil
        self.hasStoodStill = false
        self.lastLook = now
        return change.before != change.after || change.isAfterStandstill ? change : nil
    }

    /// Looking has failed, which a lack of files or memory can do: it is tried again later.
    mutating func lookFailed(at now: NIODeadline) {
        let next = now + self.timing.pollInterval - self.timing.settleTime
        self.burst = Burst(began: next, lastMessage: next)
    }
}
