import Basics
import ICE
import NIOCore

/// Carries out a ``SpreadPlan`` beside a session's ordinary checks: many sockets here, or many ports at the peer. A value
/// without sockets or clock.
///
/// As soon as one datagram gets through, the session's ICE agent knows what to do with it, and this has done its work.
struct SpreadRun {
    /// What is to be done now.
    enum Step {
        case openSocket
        /// Sends a check to this port of the peer's NAT.
        case probe(UInt16)
    }

    private enum Phase {
        /// Ordinary checks have their head start.
        case waiting
        case running(until: NIODeadline, SpreadPlaces.Place)
        case over
    }

    /// Ordinary checks get this long before it begins: most peers need nothing else.
    private static let headStart = TimeAmount.seconds(1)
    /// Beyond the longest time that probes are sent for: one side begins a little later than the other, and the last probe
    /// has to be answered. So long the sockets must stay open, however soon they all were.
    private static let patience = TimeAmount.seconds(3)
    /// Between two looks, once all is sent, at whether a pair has been found.
    private static let lookInterval = TimeAmount.milliseconds(500)

    let plan: SpreadPlan
    private var phase = Phase.waiting
    private var guesses: PortGuesses<SystemRandomNumberGenerator>?
    private var left: Int
    private let pacing: TimeAmount
    /// When there is something to do.
    private(set) var nextDeadline: NIODeadline
    /// On the hard side: the sockets that no check has come in on, with their ports.
    private var sockets: [(base: LocalBaseID, port: Int)] = []

    /// Nil when the plan is to do nothing.
    init?(_ plan: SpreadPlan, at now: NIODeadline) {
        switch plan {
        case .opensSockets(let count, let pacing), .probesPorts(let count, let pacing):
            self.left = count
            self.pacing = pacing
        case .none: return nil
        }
        self.plan = plan
        self.nextDeadline = now + Self.headStart
    }

    /// Whether the head start is over, and the run has not begun.
    var wantsToBegin: Bool { if case .waiting = self.phase { true } else { false } }

    /// Begins. Returns until when the session must hold on.
    mutating func begin(against remotes: [ICECandidate], in place: SpreadPlaces.Place, at now: NIODeadline)
        -> NIODeadline
    {
        if case .probesPorts(let count, _) = self.plan {
            self.guesses = PortGuesses(
                MappedPorts.observed(in: remotes).first, count: count, generator: SystemRandomNumberGenerator())
        }
        let until = now + SpreadPlan.longestTime + Self.patience
        self.phase = .running(until: until, place)
        return until
    }

    /// Whether its time is over.
    func isOver(at now: NIODeadline) -> Bool {
        if case .running(let until, _) = self.phase { now >= until } else { false }
    }

    /// What to do now, at `nextDeadline`; nil when that is nothing but to wait.
    mutating func step(at now: NIODeadline) -> Step? {
        guard self.left > 0 else {
            self.nextDeadline = now + Self.lookInterval
            return nil
        }
        self.left -= 1
        self.nextDeadline = now + self.pacing
        return self.guesses == nil ? .openSocket : self.guesses?.next().map { .probe($0) }
    }

    /// A socket of the run is open. Returns whether it is still wanted.
    mutating func opened(_ base: LocalBaseID, port: Int) -> Bool {
        guard case .running = self.phase else { return false }
        self.sockets.append((base, port))
        return true
    }

    /// Whether a socket is one of the run's, and no more than that.
    func holds(_ base: LocalBaseID) -> Bool { self.sockets.contains { $0.base == base } }

    /// A socket becomes one of the session's. Returns its port; nil when it is none of the run's.
    mutating func release(_ base: LocalBaseID) -> Int? {
        guard let index = self.sockets.firstIndex(where: { $0.base == base }) else { return nil }
        return self.sockets.remove(at: index).port
    }

    /// Nothing is guessed any more. Returns the sockets that are of no use now.
    mutating func end() -> [LocalBaseID] {
        defer { self.sockets = [] }
        self.phase = .over
        self.nextDeadline = .distantFuture
        return self.sockets.map(\.base)
    }
}

extension SpreadPlan {
    /// What this side does when the two sides' NATs map like this; see there for the spreads.
    init(local: MappingBehavior, peer: MappingBehavior, localSpread: Int, peerSpread: Int) {
        guard local != .udpBlocked, peer != .udpBlocked else {
            self = .none(.udpBlocked)
            return
        }
        self.init(
            localDependsOnDestination: local.dependsOnDestination, peerDependsOnDestination: peer.dependsOnDestination,
            localSpread: localSpread, peerSpread: peerSpread)
    }
}
