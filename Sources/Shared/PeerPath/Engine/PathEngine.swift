import Basics
import DequeModule
package import ICE
package import NIOCore

/// Decides how datagrams reach the peer: looks for direct paths, watches over them, falls back to the bridge, and restarts
/// ICE (RFC 8445 §9) where that may bring a better path. Everything that is decided about paths is decided here.
///
///     offer, answer, candidates ─▶ receive(PathMessage) ──┐               ┌─▶ openSockets, transmit, …   sockets
///     sockets ─▶ socketsOpened, receive(STUN), sendFailed ┤               ├─▶ candidate, askRestart, …   signalling
///     control connection ─▶ signalChanged, agentCameBack ─┼─▶ PathEngine ─┼─▶ pathChanged, limitChanged  carrier
///     carrier ─▶ connected, suspicionChanged, sends ──────┤   sessions    ├─▶ noDirectPath, note         log
///     machine ─▶ networkChanged, handleTimeout ───────────┘               └─▶ ended
///
/// A value without sockets, clock or tasks. Use: call a mutating method with what happened and the time; then drain
/// `nextOutput()`, and arm one timer for `nextDeadline`, which calls `handleTimeout(at:)`. Datagrams of the protocol above do
/// not pass through: `route` says where they go, `accept` whether they are the peer's.
///
/// It has one more stored variable than fifteen: each is a value with rules of its own, or what the choice has come to.
package struct PathEngine {
    enum Course {
        /// The sockets of the first session are being opened.
        case opening
        /// The other side's words may come.
        case open
        /// The carrier has authenticated the peer.
        case connected
        case over
    }

    let configuration: PathConfiguration
    var course = Course.opening
    /// What this end of the channel does by itself.
    var role: Role
    var sessions = PathSessions()
    var bridge: BridgeState
    /// Where datagrams go now; nil: nowhere.
    package internal(set) var route: PathRoute?
    var presence = PathPresence.awaited
    /// How our NAT maps, as far as gathering has found out.
    var localMapping = MappingBehavior.unknown
    var peer = PeerWords()
    /// What the protocol above was told last that the path carries, in bytes of UDP payload.
    var announcedLimit = SelectedPath.largestDatagram
    var silence = CarrierSilence()
    var arrivals = ArrivalNumbers()
    var early = EarlyMessages()
    /// For offers when there is no session.
    private let spareCredentials = ICECredentials.random()
    /// Why there is no path any more.
    package private(set) var failure: PathFailure?
    private var outputs: Deque<PathOutput> = []

    /// - Parameter side: the client makes the offer, is the controlling one (RFC 8445 §6.1.1), and asks for restarts.
    package init(side: PeerSide, configuration: PathConfiguration) {
        self.configuration = configuration
        self.role = side == .client ? .client(ClientRole()) : .agent(AgentRole())
        self.bridge = BridgeState(
            choice: configuration.choice, serverBridges: configuration.serverBridges,
            following: side == .client ? nil : BridgeFollowing())
    }

    // MARK: What it knows

    /// What the offer or the answer says about us.
    package var localDescription: PathDescription { self.description(of: self.sessions.newest) }

    func description(of session: PathSession?) -> PathDescription {
        var description =
            session?.description
            ?? PathDescription(
                generation: 0, credentials: self.sessions.newest?.localCredentials ?? self.spareCredentials,
                candidates: [])
        description.bridges = self.bridge.bridgesHere
        return description
    }

    /// What was tried so far, of the newest session; nil when no direct path was looked for.
    package var report: ICEReport? { self.sessions.report }

    /// Of the direct path in use, as its last check measured it.
    package var roundTripTime: TimeAmount? { self.activePath?.roundTripTime }

    /// What the path is known to carry, in bytes of UDP payload. On the bridge there are no packets to fit into.
    package var maximumDatagramSize: Int {
        // Asked for each batch that is sent, so that the path is not copied.
        guard let index = self.routedSession else { return SelectedPath.largestDatagram }
        return self.sessions[index].selection.active?.limit ?? SelectedPath.largestDatagram
    }

    /// Whether a direct path is in use.
    package var usesDirectPath: Bool { if case .direct = self.route { true } else { false } }

    /// Whether new sessions make sense: nothing but the bridge is wanted otherwise.
    var looksForDirectPaths: Bool { self.configuration.choice != .bridge }

    /// The session whose path is in use.
    var routedSession: Int? {
        guard case .direct(let base, _, _) = self.route else { return nil }
        return self.sessions.index(of: base.generation)
    }

    /// The direct path in use.
    var activePath: DirectPath? { self.routedSession.flatMap { self.sessions[$0].selection.active } }

    // MARK: What comes out

    /// What to do next.
    package mutating func nextOutput() -> PathOutput? { self.outputs.popFirst() }

    /// Whether there is something to do.
    package var hasOutput: Bool { !self.outputs.isEmpty }

    mutating func put(_ output: PathOutput) { self.outputs.append(output) }

    /// When to call `handleTimeout`; nil: there is nothing to wait for.
    package var nextDeadline: NIODeadline? {
        guard self.course != .over else { return nil }
        let deadlines =
            self.sessions.list.map(\.nextDeadline)
            + [self.presence.deadline, self.sessions.retirementAt, self.silence.nextLook, self.roleDeadline]
        return deadlines.compactMap { $0 }.min()
    }

    /// An early or late call is harmless.
    package mutating func handleTimeout(at now: NIODeadline) {
        guard self.course != .over else { return }
        for index in self.sessions.list.indices { self.sessions[index].handleTimeout(at: now) }
        self.lookAtSilence(at: now)
        if let retired = self.sessions.retire(at: now) { self.put(.closeSockets(generation: retired)) }
        if let deadline = self.presence.deadline, now >= deadline {
            self.end(self.report.map { .pathLost($0) } ?? .bridgeLost(self.configuration.pathLossTimeout))
        }
        self.settle(at: now)
    }

    // MARK: Course

    /// Begins. Call once.
    package mutating func start() {
        if self.looksForDirectPaths { self.put(.openSockets(generation: 0)) } else { self.describe() }
    }

    /// The carrier has authenticated the peer.
    package mutating func connected(at now: NIODeadline) {
        guard self.course == .open else { return }
        self.course = .connected
        // There were no sockets for a first session; there may be later.
        if self.looksForDirectPaths, self.sessions.isEmpty { self.retryMissingSession(at: now) }
        self.settle(at: now)
    }

    /// Nothing happens any more.
    package mutating func stop() {
        guard self.course != .over else { return }
        self.course = .over
        for generation in self.sessions.removeAll() { self.put(.closeSockets(generation: generation)) }
        self.withdrawAsked()
        self.route = nil
    }

    mutating func end(_ failure: PathFailure) {
        guard self.course != .over else { return }
        self.stop()
        self.failure = failure
        self.put(.ended(failure))
    }
}

/// Which end of a channel this process is.
package enum PeerSide: Hashable, Sendable {
    /// Made the offer.
    case client
    /// Answered it.
    case agent
}

/// What the peer has said of itself.
struct PeerWords {
    /// Whether it answers padded checks in kind.
    var answersPadding = false
    /// How its NAT maps.
    var mapping = MappingBehavior.unknown
    /// How many sockets it would open against a NAT that maps by destination.
    var spread = 0
}

/// Messages that came before the session that they are for.
struct EarlyMessages {
    private static let maximum = 64

    private var messages: [(generation: UInt32, message: PathMessage)] = []

    /// Keeps a message. What is for a generation before `newest` belongs to a restart that came to nothing.
    mutating func keep(_ message: PathMessage, for generation: UInt32, newest: UInt32) {
        self.messages.removeAll { $0.generation < newest }
        if self.messages.count < Self.maximum { self.messages.append((generation, message)) }
    }

    mutating func takeAll() -> [PathMessage] {
        defer { self.messages = [] }
        return self.messages.map(\.message)
    }
}
