import NIOCore

/// Whether the peer of a channel answers, and what silence means for those who use the channel.
///
/// | in | the peer is silent | its agent goes | somebody awaits an answer | another agent is there | time passes |
/// |---|---|---|---|---|---|
/// | `well` | `silent`, `healing` or `suspect` | | | | |
/// | `silent` | | | `suspect` | | |
/// | `healing` | | a shorter `healing`, or `suspect` | | `suspect` | `suspect` |
///
/// A sign of life makes it `well`, whatever it was.
enum ChannelHealth: Equatable {
    /// The peer answers, as far as anybody has asked.
    case well
    /// The peer is silent, and nobody waits for it: the next open on the channel does.
    case silent
    /// The peer is silent, and the channel may yet find another path: it falls back to the bridge, or gets a new ICE
    /// session, and all flows go on as they are.
    case healing(until: NIODeadline)
    /// The peer is taken for gone: whoever waits for it looks elsewhere.
    case suspect

    /// Whether the channel is used on.
    var isGood: Bool { self != .suspect }
    var isHealing: Bool { self.healingEnd != nil }

    /// Until when the channel may heal.
    var healingEnd: NIODeadline? { if case .healing(let until) = self { until } else { nil } }

    /// Something sent on a channel of connections is unanswered, and nothing at all has been heard of its peer.
    ///
    /// - Parameter isAwaited: whether anybody waits for an answer.
    mutating func connectionsFellSilent(isAwaited: Bool) {
        if self == .well { self = isAwaited ? .suspect : .silent }
    }

    /// The same of a channel of flows, which stay for `time`; nil: not at all.
    mutating func flowsFellSilent(healing time: TimeAmount?, at now: NIODeadline) {
        if self == .well { self = time.map { .healing(until: now + $0) } ?? .suspect }
    }

    /// The agent of a channel is not registered any more: what heals gets less time from now on, or none.
    mutating func agentWent(healing time: TimeAmount?, at now: NIODeadline) {
        guard self.isHealing else { return }
        self = time.map { .healing(until: now + $0) } ?? .suspect
    }

    /// Somebody waits for an answer from now on.
    mutating func awaited() {
        if self == .silent { self = .suspect }
    }

    /// There is another agent, so that nobody need wait.
    mutating func alternativeFound() {
        if self.isHealing { self = .suspect }
    }

    /// Harmless when it is early.
    mutating func timePassed(at now: NIODeadline) {
        if let until = self.healingEnd, until <= now { self = .suspect }
    }
}
