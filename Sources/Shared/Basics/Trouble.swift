package import NIOCore

/// Trouble that may last: says when a person should hear of it. At once, and again after every ``interval`` while it lasts; a
/// cause that is new is told at once, too. A value without a clock.
///
///     occurred ─▶ .began, then .lasts every interval ─▶ ended: how long it was
package struct Trouble<Cause: Hashable & Sendable>: Sendable {
    /// What there is to tell.
    package enum News: Hashable, Sendable {
        /// There was none before.
        case began
        /// It goes on, and has for so long.
        case lasts(TimeAmount)
    }

    private enum State {
        case none
        /// `told`: when each cause was told of last.
        case some(since: NIODeadline, told: [Cause: NIODeadline], latest: Cause)
    }

    /// So many causes are told apart. Some hold words of others, which may be different each time.
    private static var maximumCauses: Int { 64 }

    /// After which the same cause is told of again.
    package let interval: TimeAmount
    private var state = State.none

    package init(interval: TimeAmount = .minutes(5)) { self.interval = interval }

    /// Since when there is trouble; nil when there is none.
    package var since: NIODeadline? {
        if case .some(let since, _, _) = self.state { since } else { nil }
    }

    /// What it was the last time; nil when there is no trouble.
    package var latest: Cause? {
        if case .some(_, _, let latest) = self.state { latest } else { nil }
    }

    /// It happened (again), for this reason. Returns what to tell; nil when that was told of already.
    package mutating func occurred(_ cause: Cause, at now: NIODeadline) -> News? {
        guard case .some(let since, var told, _) = self.state else {
            self.state = .some(since: now, told: [cause: now], latest: cause)
            return .began
        }
        if let last = told[cause], now < last + self.interval {
            self.state = .some(since: since, told: told, latest: cause)
            return nil
        }
        if told.count >= Self.maximumCauses, told[cause] == nil { told = [:] }
        told[cause] = now
        self.state = .some(since: since, told: told, latest: cause)
        return .lasts(now - since)
    }

    /// It is over. Returns how long it was; nil when there was none.
    package mutating func ended(at now: NIODeadline) -> TimeAmount? {
        defer { self.state = .none }
        return self.since.map { now - $0 }
    }

    /// The causes that need not be told of now.
    package func known(at now: NIODeadline) -> Set<Cause> {
        guard case .some(_, let told, _) = self.state else { return [] }
        return Set(told.filter { now < $0.value + self.interval }.keys)
    }
}
