package import NIOCore

/// Whether the other end of a datagram channel still answers.
///
/// DTLS acknowledges nothing, so that silence is all there is to go by. Every record is a sign of life. When something was
/// sent and nothing has come back for `patience` (one-way flows are like that), the peer is asked with keepalives, often
/// enough that a lossy path does not look like a dead one; when none is answered, the channel is suspect. An idle
/// channel is asked every `idleInterval`.
package struct ChannelLiveness: Sendable {
    /// The lengths of time that it goes by.
    package struct Timing: Sendable {
        /// Silence that is fine while nothing is sent.
        package var idleInterval = TimeAmount.seconds(10)
        /// Silence after a datagram before the peer is asked.
        package var patience = TimeAmount.seconds(1)
        /// Between questions. With 10 % loss in each direction, ten unanswered ones in a row are a matter of 1 in 10 million.
        package var probeInterval = TimeAmount.milliseconds(200)
        /// How long the peer is asked in vain before it is suspect.
        package var suspicionDelay = TimeAmount.seconds(2)
        /// Between questions to a suspect peer.
        package var suspectInterval = TimeAmount.seconds(1)

        package init() {}
    }

    private enum State {
        /// All that was sent lately has been followed by a sign of life.
        case calm
        /// Something was sent; nobody has been asked yet.
        case waiting
        /// Keepalives are under way since then.
        case asking(since: NIODeadline)
        case suspect
    }

    private let timing: Timing
    private let probes: Bool
    private var state = State.calm
    private var nextToken: UInt32 = 1
    private var deadline: NIODeadline

    /// - Parameter probes: false for the end that only answers.
    package init(probes: Bool, timing: Timing = Timing(), at now: NIODeadline) {
        self.probes = probes
        self.timing = timing
        self.deadline = now + timing.idleInterval
    }

    /// Whether the peer has left question after question unanswered.
    package var isSuspect: Bool { if case .suspect = self.state { true } else { false } }

    /// When to call ``timerFired(at:)``; nil: never.
    package var nextDeadline: NIODeadline? { self.probes ? self.deadline : nil }

    /// Something left for the peer.
    package mutating func sent(at now: NIODeadline) {
        guard case .calm = self.state else { return }
        self.state = .waiting
        self.deadline = now + self.timing.patience
    }

    /// Something authentic came from the peer.
    package mutating func heard(at now: NIODeadline) {
        self.state = .calm
        self.deadline = now + self.timing.idleInterval
    }

    /// There is reason to doubt: the peer is asked right away.
    package mutating func suspect(at now: NIODeadline) {
        switch self.state {
        case .calm, .waiting:
            self.state = .asking(since: now)
            self.deadline = now
        case .asking, .suspect: break
        }
    }

    /// Call at ``nextDeadline``; an early call is harmless. Returns the token of a keepalive to send now.
    package mutating func timerFired(at now: NIODeadline) -> UInt32? {
        guard self.probes, now >= self.deadline else { return nil }
        switch self.state {
        case .calm, .waiting:
            self.state = .asking(since: now)
            self.deadline = now + self.timing.probeInterval
        case .asking(let since) where now - since >= self.timing.suspicionDelay:
            self.state = .suspect
            self.deadline = now + self.timing.suspectInterval
        case .asking:
            self.deadline = now + self.timing.probeInterval
        case .suspect:
            self.deadline = now + self.timing.suspectInterval
        }
        defer { self.nextToken &+= 1 }
        return self.nextToken
    }
}
