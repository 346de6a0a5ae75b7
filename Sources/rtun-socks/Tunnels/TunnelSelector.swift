import AppProto
import DequeModule
import NIOCore
import PeerChannel

/// Names one tunnel, from the first attempt on, for as long as the program runs.
struct TunnelID: Hashable, Comparable {
    var rawValue: UInt64

    static func < (one: TunnelID, other: TunnelID) -> Bool { one.rawValue < other.rawValue }
}

/// Names one proxied connection for as long as the program runs.
struct ConnectionID: Hashable {
    var rawValue: UInt64
}

/// Decides which agent to use, when to open a tunnel to it, and which tunnel carries which connection. No I/O.
///
/// One tunnel is *current*: it gets the new connections. It stays so until its agent is gone, it closes, or it becomes
/// *suspect*: an open on it is unanswered while nothing at all has been heard from the peer. Then the next agent is
/// tried; a slow attempt gets company from a second one rather than holding everybody up. A tunnel that is no longer
/// current keeps the connections it has until they end. The control connection is needed to find agents and to open
/// tunnels, and for nothing else: its loss leaves every tunnel alone.
struct TunnelSelector {
    /// The lengths of time that decisions depend on.
    struct Timing {
        /// How long a connection waits for an agent in all, however many of them it tries.
        var patience = TimeAmount.seconds(10)
        /// How often tunnels with unanswered opens are looked at.
        var probeInterval = TimeAmount.milliseconds(250)
        /// How long an attempt may take before the next agent is tried beside it.
        var hedgeDelay = TimeAmount.seconds(2)
        /// How often the list of agents is asked for while connections wait for one.
        var urgentListInterval = TimeAmount.milliseconds(500)
        /// The same while nobody waits.
        var listInterval = TimeAmount.seconds(2)
        /// How long to wait after an attempt that failed on this side.
        var pause = TimeAmount.milliseconds(500)
    }

    /// What the caller does next, in order.
    enum Action: Equatable {
        /// Ask the server, then call `agentsListed` or `listingFailed`.
        case listAgents
        /// Bind to the agent, so that the server tells when it goes; then call `watchAnswered`.
        case watch(AgentKey)
        /// Open a tunnel to the agent, then call `tunnelReady` or `tunnelClosed`.
        case openTunnel(TunnelID, AgentInfo)
        /// The tunnel, or the attempt, is not needed any more. Nothing more needs to be told of it.
        case closeTunnel(TunnelID)
        /// Open a stream for the connection, then call `connectionAnswered` or `connectionClosed`.
        case open(ConnectionID, on: TunnelID)
        /// Forget the open that is under way; another one follows, or `reject`.
        case withdraw(ConnectionID)
        /// Tell the client that it can't be served. The connection is forgotten here.
        case reject(ConnectionID, Rejection)
        /// For the log: the tunnel to this agent is current from now on.
        case agentSelected(TunnelID, AgentInfo)
        /// For the log: an agent with a tunnel is no longer registered.
        case agentGone(AgentKey, GoneReason)
    }

    /// Why a connection can't be served.
    enum Rejection: Equatable {
        /// It waited for an agent in vain.
        case noAgent
        /// Agent after agent stopped answering before it answered this open.
        case tooManyAttempts
    }

    private struct Tunnel {
        enum Phase: Equatable {
            case opening(since: NIODeadline)
            case ready
        }
        /// Whether the server will tell when the agent goes.
        enum Watch {
            case no
            case asked
            case yes
        }
        let agent: AgentInfo
        var phase: Phase
        var watch = Watch.no
        var isSuspect = false
        /// The agent is not registered any more, though its tunnel may well work.
        var isGone = false
        /// It did not just lose its control connection: it stops, has expired, or was replaced.
        var isLeaving = false
        /// Connections whose open has no answer yet.
        var unanswered: Set<ConnectionID> = []
        /// Connections that carry data.
        var streaming = 0

        var isReady: Bool { self.phase == .ready }
        var isGood: Bool { self.isReady && !self.isSuspect && !self.isGone }
        var isUnused: Bool { self.unanswered.isEmpty && self.streaming == 0 }
    }

    private struct Connection {
        enum State: Equatable {
            case waiting
            case opening(TunnelID)
            case streaming(TunnelID)
        }
        var state = State.waiting
        /// Until when it may look for an agent; set once, at its request.
        let deadline: NIODeadline
        var attempts: UInt8 = 0
    }

    /// So many agents in a row may fail to answer one open.
    private static let maximumAttempts: UInt8 = 3
    /// So many tunnels may be in the making at a time.
    private static let maximumOpening = 3

    private let timing: Timing
    private var selection: AgentSelection
    private var isConnected = false
    private var isListing = false
    private var nextList: NIODeadline
    private var lastList: NIODeadline?
    private var agents: [AgentInfo] = []
    private var tunnels: [TunnelID: Tunnel] = [:]
    private var current: TunnelID?
    private var nextTunnel: UInt64 = 1
    private var connections: [ConnectionID: Connection] = [:]
    /// In the order of their deadlines. An entry whose connection is gone is void.
    private var waiting: Deque<(id: ConnectionID, deadline: NIODeadline)> = []
    private var nextProbe: NIODeadline?
    /// When the search for an agent goes on by itself.
    private var nextSearch: NIODeadline?
    /// No attempt before this time: the last one failed for a reason that the next one would meet as well.
    private var pausedUntil: NIODeadline?

    init(pattern: AgentNamePattern, timing: Timing = Timing(), at now: NIODeadline) {
        self.selection = AgentSelection(pattern: pattern)
        self.timing = timing
        self.nextList = now
    }

    /// When to call `timerFired`; `nil`: not before something else happens.
    var nextDeadline: NIODeadline? {
        [self.waiting.first?.deadline, self.nextProbe, self.nextSearch].compactMap { $0 }.min()
    }

    /// The number of connections that wait, open, or carry data.
    var connectionCount: Int { self.connections.count }
}

// MARK: - The control connection

extension TunnelSelector {
    /// The control connection stands.
    mutating func signalConnected(at now: NIODeadline) -> [Action] {
        self.isConnected = true
        self.isListing = false
        self.nextList = now
        self.pausedUntil = nil
        var actions: [Action] = []
        for (id, tunnel) in self.tunnelsInOrder where tunnel.isReady {
            self.watch(id, &actions)
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// The control connection is lost. What runs over tunnels goes on.
    mutating func signalLost(at now: NIODeadline) -> [Action] {
        self.isConnected = false
        self.isListing = false
        for id in self.tunnels.keys {
            self.tunnels[id]?.watch = .no
        }
        var actions: [Action] = []
        self.settle(at: now, &actions)
        return actions
    }

    /// The answer to `.listAgents`.
    mutating func agentsListed(_ agents: [AgentInfo], at now: NIODeadline) -> [Action] {
        self.isListing = false
        self.agents = agents
        self.listAnswered(at: now)
        let listed = Set(agents.map(\.key))
        var actions: [Action] = []
        for (id, tunnel) in self.tunnelsInOrder where tunnel.isReady && listed.contains(tunnel.agent.key) {
            // It was away for a moment and kept its instance id: the tunnel is as good as before.
            self.tunnels[id]?.isGone = false
            self.tunnels[id]?.isLeaving = false
            if tunnel.watch == .no { self.watch(id, &actions) }
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// `.listAgents` got no answer.
    mutating func listingFailed(at now: NIODeadline) -> [Action] {
        self.isListing = false
        self.listAnswered(at: now)
        var actions: [Action] = []
        self.settle(at: now, &actions)
        return actions
    }

    /// The answer to `.watch`: `nil` when the server now watches the agent.
    ///
    /// An agent that the server does not know may have lost its control connection just as we did, so its tunnel is kept
    /// and the watch tried again later. One whose name belongs to another instance by now has been restarted or replaced.
    mutating func watchAnswered(_ key: AgentKey, failure: FailureCode?, at now: NIODeadline) -> [Action] {
        for (id, tunnel) in self.tunnels where tunnel.agent.key == key && tunnel.watch == .asked {
            self.tunnels[id]?.watch = failure == nil ? .yes : .no
        }
        var actions: [Action] = []
        switch failure {
        case .instanceMismatch: return self.agentGone(key, .replaced, at: now)
        case .notFound: self.forget(key, at: now, &actions)
        default: break
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// The server says that an agent is no longer registered.
    mutating func agentGone(_ key: AgentKey, _ reason: GoneReason, at now: NIODeadline) -> [Action] {
        var actions: [Action] = []
        self.forget(key, at: now, &actions)
        for (id, tunnel) in self.tunnelsInOrder where tunnel.agent.key == key && !tunnel.isGone {
            self.tunnels[id]?.isGone = true
            self.tunnels[id]?.isLeaving = reason.isFinal
            self.tunnels[id]?.watch = .no
            actions.append(.agentGone(key, reason))
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// The agent can't be asked for a tunnel now, and what is known of the others may be old as well.
    private mutating func forget(_ key: AgentKey, at now: NIODeadline, _ actions: inout [Action]) {
        self.agents.removeAll { $0.key == key }
        self.nextList = now
        for (id, tunnel) in self.tunnelsInOrder where tunnel.agent.key == key && !tunnel.isReady {
            self.tunnels[id] = nil
            actions.append(.closeTunnel(id))
        }
    }

    private mutating func listAnswered(at now: NIODeadline) {
        self.lastList = now
        self.nextList = now + (self.waiting.isEmpty ? self.timing.listInterval : self.timing.urgentListInterval)
    }

    private mutating func watch(_ id: TunnelID, _ actions: inout [Action]) {
        guard self.isConnected, let key = self.tunnels[id]?.agent.key else { return }
        self.tunnels[id]?.watch = .asked
        actions.append(.watch(key))
    }
}

// MARK: - Tunnels

extension TunnelSelector {
    /// The attempt succeeded.
    mutating func tunnelReady(_ id: TunnelID, at now: NIODeadline) -> [Action] {
        guard let tunnel = self.tunnels[id], !tunnel.isReady else { return [] }
        self.tunnels[id]?.phase = .ready
        var actions: [Action] = []
        // The Bind that came first is forgotten if the control connection was lost since.
        if tunnel.watch == .no { self.watch(id, &actions) }
        self.settle(at: now, &actions)
        return actions
    }

    /// The attempt failed, or the tunnel is closed. `blameAgent`: the agent is put last for a while; not so when the
    /// reason lies on this side, such as a lost control connection.
    mutating func tunnelClosed(_ id: TunnelID, blameAgent: Bool = true, at now: NIODeadline) -> [Action] {
        guard let tunnel = self.tunnels.removeValue(forKey: id) else { return [] }
        if blameAgent {
            self.selection.markFailed(tunnel.agent.key, retryAtOnce: tunnel.isReady, at: now)
        } else {
            self.pausedUntil = now + self.timing.pause
        }
        var actions: [Action] = []
        self.requeue(tunnel.unanswered, at: now, &actions)
        self.settle(at: now, &actions)
        return actions
    }

    /// Call at `nextDeadline`; early or late does no harm. `isSilent` tells of a ready tunnel whether what was sent on it
    /// has been waiting for any sign of life for too long.
    mutating func timerFired(at now: NIODeadline, isSilent: (TunnelID) -> Bool) -> [Action] {
        var actions: [Action] = []
        if let nextProbe = self.nextProbe, nextProbe <= now {
            self.probe(at: now, isSilent, &actions)
        }
        while let first = self.waiting.first, first.deadline <= now {
            self.waiting.removeFirst()
            guard self.connections.removeValue(forKey: first.id) != nil else { continue }
            actions.append(.reject(first.id, .noAgent))
        }
        self.settle(at: now, &actions)
        return actions
    }

    private mutating func probe(at now: NIODeadline, _ isSilent: (TunnelID) -> Bool, _ actions: inout [Action]) {
        for (id, tunnel) in self.tunnelsInOrder where tunnel.isReady {
            if !isSilent(id) {
                self.tunnels[id]?.isSuspect = false
            } else if !tunnel.isSuspect, !tunnel.unanswered.isEmpty {
                self.tunnels[id]?.isSuspect = true
                self.tunnels[id]?.unanswered = []
                self.selection.markFailed(tunnel.agent.key, retryAtOnce: true, at: now)
                self.requeue(tunnel.unanswered, at: now, &actions)
            }
        }
    }

    /// Opens without an answer look for another tunnel while they have time left; nothing was sent yet that could be lost.
    private mutating func requeue(_ ids: Set<ConnectionID>, at now: NIODeadline, _ actions: inout [Action]) {
        for id in ids.sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let connection = self.connections[id] else { continue }
            actions.append(.withdraw(id))
            guard connection.attempts < Self.maximumAttempts else {
                self.connections[id] = nil
                actions.append(.reject(id, .tooManyAttempts))
                continue
            }
            guard now < connection.deadline else {
                self.connections[id] = nil
                actions.append(.reject(id, .noAgent))
                continue
            }
            self.wait(id)
        }
    }
}

// MARK: - Connections

extension TunnelSelector {
    /// A client wants to be connected. `isSilent` as for `timerFired`.
    mutating func connectionRequested(
        _ id: ConnectionID, at now: NIODeadline, isSilent: (TunnelID) -> Bool
    ) -> [Action] {
        self.connections[id] = Connection(deadline: now + self.timing.patience)
        self.wait(id)
        // Somebody waits now: ask again soon, if the last answer is not brand-new.
        if let lastList = self.lastList {
            self.nextList = min(self.nextList, lastList + self.timing.urgentListInterval)
        }
        var actions: [Action] = []
        self.settle(at: now, &actions)
        // A tunnel that has been silent for long is found out by its first open at once.
        if case .open(_, on: let tunnel) = actions.last, isSilent(tunnel) {
            self.probe(at: now, isSilent, &actions)
            self.settle(at: now, &actions)
        }
        return actions
    }

    /// The agent reached the target: the connection carries data from now on.
    mutating func connectionAnswered(_ id: ConnectionID) {
        guard case .opening(let tunnel) = self.connections[id]?.state else { return }
        self.connections[id]?.state = .streaming(tunnel)
        self.tunnels[tunnel]?.unanswered.remove(id)
        self.tunnels[tunnel]?.streaming += 1
    }

    /// The connection is over, in whatever state it was.
    mutating func connectionClosed(_ id: ConnectionID, at now: NIODeadline) -> [Action] {
        switch self.connections.removeValue(forKey: id)?.state {
        case .opening(let tunnel): self.tunnels[tunnel]?.unanswered.remove(id)
        case .streaming(let tunnel): self.tunnels[tunnel]?.streaming -= 1
        case .waiting, nil: return []
        }
        var actions: [Action] = []
        self.settle(at: now, &actions)
        return actions
    }

    private mutating func wait(_ id: ConnectionID) {
        guard let deadline = self.connections[id]?.deadline else { return }
        self.connections[id]?.state = .waiting
        // A new connection goes last; one that has waited before gets its place back.
        var index = self.waiting.endIndex
        while index > self.waiting.startIndex, self.waiting[index - 1].deadline > deadline { index -= 1 }
        self.waiting.insert((id, deadline), at: index)
    }
}

// MARK: - Decisions

extension TunnelSelector {
    /// Oldest first, so that the same events always lead to the same actions.
    private var tunnelsInOrder: [(key: TunnelID, value: Tunnel)] {
        self.tunnels.sorted { $0.key < $1.key }
    }

    /// Brings everything in line with what has just changed.
    private mutating func settle(at now: NIODeadline, _ actions: inout [Action]) {
        self.nextSearch = nil
        self.chooseCurrent(&actions)
        if self.current != nil {
            self.closeUnneeded(&actions)
            self.followUnwatched(at: now, &actions)
        } else {
            self.search(at: now, &actions)
        }
        self.openWaiting(&actions)

        let needsProbe = self.tunnels.values.contains { $0.isReady && ($0.isSuspect || !$0.unanswered.isEmpty) }
        if !needsProbe {
            self.nextProbe = nil
        } else if self.nextProbe.map({ $0 <= now }) ?? true {
            self.nextProbe = now + self.timing.probeInterval
        }
    }

    private mutating func chooseCurrent(_ actions: inout [Action]) {
        if let current = self.current, self.tunnels[current]?.isGood == true { return }
        self.current = self.tunnels.filter { $0.value.isGood }.keys.max()
        if let current = self.current, let agent = self.tunnels[current]?.agent {
            self.selection.bind(agent.key)
            actions.append(.agentSelected(current, agent))
        } else {
            self.selection.unbind()
        }
    }

    /// With a current tunnel, attempts are pointless, and other tunnels last as long as their connections.
    private mutating func closeUnneeded(_ actions: inout [Action]) {
        guard self.tunnels.count > 1 else { return }
        for (id, tunnel) in self.tunnelsInOrder where id != self.current && tunnel.isUnused {
            self.tunnels[id] = nil
            actions.append(.closeTunnel(id))
        }
    }

    /// While the server doesn't know a tunnel's agent, looks in the list whether it is back.
    private mutating func followUnwatched(at now: NIODeadline, _ actions: inout [Action]) {
        guard self.isConnected, self.tunnels.values.contains(where: { $0.isReady && $0.watch == .no }) else { return }
        self.list(at: now, &actions)
    }

    /// Without a current tunnel: asks for agents, and opens a tunnel to the best one.
    private mutating func search(at now: NIODeadline, _ actions: inout [Action]) {
        guard self.isConnected else { return }
        self.list(at: now, &actions)

        var busy: Set<AgentKey> = []
        for tunnel in self.tunnels.values {
            guard case .opening(let since) = tunnel.phase else { continue }
            busy.insert(tunnel.agent.key)
            if now < since + self.timing.hedgeDelay {
                self.wake(at: since + self.timing.hedgeDelay)
                return
            }
        }
        guard busy.count < Self.maximumOpening else { return }
        if let pausedUntil = self.pausedUntil, now < pausedUntil { return self.wake(at: pausedUntil) }
        for agent in self.selection.ranked(self.agents, at: now) where !busy.contains(agent.key) {
            if let retry = self.selection.retryTime(of: agent.key), retry > now {
                self.wake(at: retry)
                continue
            }
            let id = TunnelID(rawValue: self.nextTunnel)
            self.nextTunnel += 1
            self.tunnels[id] = Tunnel(agent: agent, phase: .opening(since: now))
            self.watch(id, &actions)
            actions.append(.openTunnel(id, agent))
            self.wake(at: now + self.timing.hedgeDelay)
            return
        }
    }

    private mutating func list(at now: NIODeadline, _ actions: inout [Action]) {
        guard !self.isListing else { return }
        if self.nextList <= now {
            self.isListing = true
            actions.append(.listAgents)
        } else {
            self.wake(at: self.nextList)
        }
    }

    private mutating func wake(at time: NIODeadline) {
        self.nextSearch = self.nextSearch.map { min($0, time) } ?? time
    }

    /// The tunnel that takes new connections. Without a current one, and with nothing under way that might give one, the
    /// tunnel of an agent that the server has lost is better than none: it may have lost its control connection only.
    private var serving: TunnelID? {
        if let current = self.current { return current }
        let isSearching = self.isListing || self.tunnels.values.contains { !$0.isReady }
        guard !isSearching else { return nil }
        return self.tunnels.filter { $0.value.isReady && !$0.value.isSuspect && !$0.value.isLeaving }.keys.max()
    }

    private mutating func openWaiting(_ actions: inout [Action]) {
        guard !self.waiting.isEmpty, let tunnel = self.serving else { return }
        while let next = self.waiting.popFirst() {
            guard self.connections[next.id] != nil else { continue }
            self.connections[next.id]?.state = .opening(tunnel)
            self.connections[next.id]?.attempts += 1
            self.tunnels[tunnel]?.unanswered.insert(next.id)
            actions.append(.open(next.id, on: tunnel))
        }
    }
}

extension GoneReason {
    /// Whether the agent has left for good, so that nothing new should be begun in its tunnel.
    fileprivate var isFinal: Bool {
        switch self {
        case .unspecified, .disconnected: false
        case .expired, .replaced, .stopped: true
        }
    }
}
