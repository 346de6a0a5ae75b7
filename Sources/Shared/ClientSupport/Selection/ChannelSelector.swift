import AppProto
import DequeModule
import NIOCore
import PeerChannel

/// Names one channel, from the first attempt on, for as long as the program runs.
struct ChannelID: Hashable, Comparable {
    var rawValue: UInt64

    static func < (one: ChannelID, other: ChannelID) -> Bool { one.rawValue < other.rawValue }
}

/// Names one connection that uses the channels, for as long as the program runs.
package struct ClientConnectionID: Hashable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Decides which agent to use, when to open a channel to it, and which channel carries which connection. No I/O.
///
/// One channel is *current*: it gets the new connections. It stays so until its agent is gone, it closes, or it becomes
/// *suspect*: something sent on it, such as an open, is unanswered while nothing at all has been heard from the peer. Then
/// the next agent is tried; a slow attempt gets company from a second one rather than holding everybody up. A channel
/// that is no longer current keeps the connections it has until they end. The control connection is needed to find
/// agents and to open channels, and for nothing else: its loss leaves every channel alone.
///
/// `rtun-socks` has many connections; `rtun-relay` has none and follows `agentSelected`.
package struct ChannelSelector {
    /// The lengths of time that decisions depend on.
    struct Timing {
        /// How long a connection waits for an agent in all, however many of them it tries.
        var patience = TimeAmount.seconds(10)
        /// How often channels with unanswered opens are looked at.
        var probeInterval = TimeAmount.milliseconds(250)
        /// How long an attempt may take before the next agent is tried beside it.
        var hedgeDelay = TimeAmount.seconds(2)
        /// How often the list of agents is asked for while connections wait for one.
        var urgentListInterval = TimeAmount.milliseconds(500)
        /// The same while nobody waits.
        var listInterval = TimeAmount.seconds(2)
        /// How long a search waits for a list that is under way, rather than go by what was known before.
        var listPatience = TimeAmount.milliseconds(300)
        /// How long to wait after an attempt that failed on this side.
        var pause = TimeAmount.milliseconds(500)
    }

    /// What the channels are used for.
    package enum Usage: Sendable {
        /// Connections, each of which stays on its channel: new ones are served as soon as can be, and not by an agent whose
        /// control connection is lost, since it may be about to go.
        case connections
        /// Flows, all of which move when the current channel changes: it does so for good reasons only, and to the best
        /// agent of a fresh list.
        case flows
    }

    /// What the caller does next, in order.
    enum Action: Equatable {
        /// Ask the server, then call `agentsListed` or `listingFailed`.
        case listAgents
        /// Bind to the agent, so that the server tells when it goes; then call `watchAnswered`.
        case watch(AgentKey)
        /// Open a channel to the agent, then call `channelReady` or `channelClosed`.
        case openChannel(ChannelID, AgentInfo)
        /// The channel, or the attempt, is not needed any more. Nothing more needs to be told of it.
        case closeChannel(ChannelID)
        /// Open a stream for the connection, then call `connectionAnswered` or `connectionClosed`.
        case open(ClientConnectionID, on: ChannelID)
        /// Forget the open that is under way; another one follows, or `reject`.
        case withdraw(ClientConnectionID)
        /// Tell the client that it can't be served. The connection is forgotten here.
        case reject(ClientConnectionID, Rejection)
        /// For the log: the channel to this agent is current from now on.
        case agentSelected(ChannelID, AgentInfo)
        /// For the log: an agent with a channel is no longer registered.
        case agentGone(AgentKey, GoneReason)
    }

    /// Why a connection can't be served.
    package enum Rejection: Equatable, Sendable {
        /// It waited for an agent in vain.
        case noAgent
        /// Agent after agent stopped answering before it answered this open.
        case tooManyAttempts
    }

    private struct Channel {
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
        /// The agent is not registered any more, though its channel may well work.
        var isGone = false
        /// It did not just lose its control connection: it stops, has expired, or was replaced.
        var isLeaving = false
        /// Connections whose open has no answer yet.
        var unanswered: Set<ClientConnectionID> = []
        /// Connections that carry data.
        var streaming = 0

        var isReady: Bool { self.phase == .ready }
        var isGood: Bool { self.isReady && !self.isSuspect && !self.isGone }
        var isUnused: Bool { self.unanswered.isEmpty && self.streaming == 0 }
    }

    private struct Connection {
        enum State: Equatable {
            case waiting
            case opening(ChannelID)
            case streaming(ChannelID)
        }
        var state = State.waiting
        /// Until when it may look for an agent; set once, at its request.
        let deadline: NIODeadline
        var attempts: UInt8 = 0
    }

    /// So many agents in a row may fail to answer one open.
    private static let maximumAttempts: UInt8 = 3
    /// So many channels may be in the making at a time.
    private static let maximumOpening = 3

    private let timing: Timing
    private let usage: Usage
    private var selection: AgentSelection
    private var isConnected = false
    /// Since when an answer to `.listAgents` is awaited.
    private var listingSince: NIODeadline?
    private var nextList: NIODeadline
    private var lastList: NIODeadline?
    let pattern: AgentNamePattern
    private var agents: [AgentInfo] = []
    private var channels: [ChannelID: Channel] = [:]
    private var current: ChannelID?
    private var nextChannel: UInt64 = 1
    private var connections: [ClientConnectionID: Connection] = [:]
    /// In the order of their deadlines. An entry whose connection is gone is void.
    private var waiting: Deque<(id: ClientConnectionID, deadline: NIODeadline)> = []
    private var nextProbe: NIODeadline?
    /// When the search for an agent goes on by itself.
    private var nextSearch: NIODeadline?
    /// No attempt before this time: the last one failed for a reason that the next one would meet as well.
    private var pausedUntil: NIODeadline?

    init(pattern: AgentNamePattern, usage: Usage, timing: Timing = Timing(), at now: NIODeadline) {
        self.pattern = pattern
        self.usage = usage
        self.selection = AgentSelection(pattern: pattern)
        self.timing = timing
        self.nextList = now
    }

    /// When to call `timerFired`; `nil`: not before something else happens.
    var nextDeadline: NIODeadline? {
        [self.waiting.first?.deadline, self.nextProbe, self.nextSearch].compactMap { $0 }.min()
    }

    /// Whether `list` has another agent to choose than `agent`.
    func hasAlternative(to agent: AgentKey, in list: [AgentInfo]) -> Bool {
        list.contains { $0.key != agent && self.pattern.matches($0.name) }
    }

    /// Whether there is an agent in `list` to choose.
    func hasChoice(in list: [AgentInfo]) -> Bool { list.contains { self.pattern.matches($0.name) } }

    /// The number of connections that wait, open, or carry data.
    var connectionCount: Int { self.connections.count }
}

// MARK: - The control connection

extension ChannelSelector {
    /// The control connection stands.
    mutating func signalConnected(at now: NIODeadline) -> [Action] {
        self.isConnected = true
        self.listingSince = nil
        self.nextList = now
        self.pausedUntil = nil
        var actions: [Action] = []
        for (id, channel) in self.channelsInOrder where channel.isReady {
            self.watch(id, &actions)
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// The control connection is lost. What runs over channels goes on.
    mutating func signalLost(at now: NIODeadline) -> [Action] {
        self.isConnected = false
        self.listingSince = nil
        for id in self.channels.keys {
            self.channels[id]?.watch = .no
        }
        var actions: [Action] = []
        self.settle(at: now, &actions)
        return actions
    }

    /// The answer to `.listAgents`.
    mutating func agentsListed(_ agents: [AgentInfo], at now: NIODeadline) -> [Action] {
        self.listingSince = nil
        self.agents = agents
        self.listAnswered(at: now)
        let listed = Set(agents.map(\.key))
        var actions: [Action] = []
        for (id, channel) in self.channelsInOrder where channel.isReady && listed.contains(channel.agent.key) {
            // It was away for a moment and kept its instance id: the channel is as good as before.
            self.channels[id]?.isGone = false
            self.channels[id]?.isLeaving = false
            if channel.watch == .no { self.watch(id, &actions) }
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// `.listAgents` got no answer.
    mutating func listingFailed(at now: NIODeadline) -> [Action] {
        self.listingSince = nil
        self.listAnswered(at: now)
        var actions: [Action] = []
        self.settle(at: now, &actions)
        return actions
    }

    /// The answer to `.watch`: `nil` when the server now watches the agent.
    ///
    /// An agent that the server does not know may have lost its control connection just as we did, so its channel is kept
    /// and the watch tried again later. One whose name belongs to another instance by now has been restarted or replaced.
    mutating func watchAnswered(_ key: AgentKey, failure: FailureCode?, at now: NIODeadline) -> [Action] {
        for (id, channel) in self.channels where channel.agent.key == key && channel.watch == .asked {
            self.channels[id]?.watch = failure == nil ? .yes : .no
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
        let isLeft = reason.isFinal || self.usage == .connections
        for (id, channel) in self.channelsInOrder where channel.agent.key == key && !channel.isGone {
            self.channels[id]?.isGone = isLeft
            self.channels[id]?.isLeaving = reason.isFinal
            self.channels[id]?.watch = .no
            actions.append(.agentGone(key, reason))
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// The agent can't be asked for a channel now, and what is known of the others may be old as well.
    private mutating func forget(_ key: AgentKey, at now: NIODeadline, _ actions: inout [Action]) {
        self.agents.removeAll { $0.key == key }
        self.nextList = now
        for (id, channel) in self.channelsInOrder where channel.agent.key == key && !channel.isReady {
            self.channels[id] = nil
            actions.append(.closeChannel(id))
        }
    }

    private mutating func listAnswered(at now: NIODeadline) {
        self.lastList = now
        self.nextList = now + (self.waiting.isEmpty ? self.timing.listInterval : self.timing.urgentListInterval)
    }

    private mutating func watch(_ id: ChannelID, _ actions: inout [Action]) {
        guard self.isConnected, let key = self.channels[id]?.agent.key else { return }
        self.channels[id]?.watch = .asked
        actions.append(.watch(key))
    }
}

// MARK: - Channels

extension ChannelSelector {
    /// The attempt succeeded.
    mutating func channelReady(_ id: ChannelID, at now: NIODeadline) -> [Action] {
        guard let channel = self.channels[id], !channel.isReady else { return [] }
        self.channels[id]?.phase = .ready
        var actions: [Action] = []
        // The Bind that came first is forgotten if the control connection was lost since.
        if channel.watch == .no { self.watch(id, &actions) }
        self.settle(at: now, &actions)
        return actions
    }

    /// The attempt failed, or the channel is closed. `blameAgent`: the agent is put last for a while; not so when the
    /// reason lies on this side, such as a lost control connection.
    mutating func channelClosed(_ id: ChannelID, blameAgent: Bool = true, at now: NIODeadline) -> [Action] {
        guard let channel = self.channels.removeValue(forKey: id) else { return [] }
        if blameAgent {
            self.selection.markFailed(channel.agent.key, retryAtOnce: channel.isReady, at: now)
        } else {
            self.pausedUntil = now + self.timing.pause
        }
        var actions: [Action] = []
        self.requeue(channel.unanswered, at: now, &actions)
        self.settle(at: now, &actions)
        return actions
    }

    /// A carrier has found out by itself that its peer does not answer, or that it does after all.
    mutating func suspicionChanged(_ id: ChannelID, isSuspect: Bool, at now: NIODeadline) -> [Action] {
        guard let channel = self.channels[id], channel.isReady, channel.isSuspect != isSuspect else { return [] }
        var actions: [Action] = []
        if isSuspect {
            self.suspect(id, at: now, &actions)
        } else {
            self.channels[id]?.isSuspect = false
        }
        self.settle(at: now, &actions)
        return actions
    }

    /// Call at `nextDeadline`; early or late does no harm. `isSilent` tells of a ready channel whether what was sent on it
    /// has been waiting for any sign of life for too long.
    mutating func timerFired(at now: NIODeadline, isSilent: (ChannelID) -> Bool) -> [Action] {
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

    private mutating func probe(at now: NIODeadline, _ isSilent: (ChannelID) -> Bool, _ actions: inout [Action]) {
        for (id, channel) in self.channelsInOrder where channel.isReady {
            if !isSilent(id) {
                self.channels[id]?.isSuspect = false
            } else if !channel.isSuspect, !channel.unanswered.isEmpty {
                self.suspect(id, at: now, &actions)
            }
        }
    }

    private mutating func suspect(_ id: ChannelID, at now: NIODeadline, _ actions: inout [Action]) {
        guard let channel = self.channels[id] else { return }
        self.channels[id]?.isSuspect = true
        self.channels[id]?.unanswered = []
        self.selection.markFailed(channel.agent.key, retryAtOnce: true, at: now)
        // What is known of the agents may be as old as the channel.
        self.nextList = now
        self.requeue(channel.unanswered, at: now, &actions)
    }

    /// Opens without an answer look for another channel while they have time left; nothing was sent yet that could be lost.
    private mutating func requeue(_ ids: Set<ClientConnectionID>, at now: NIODeadline, _ actions: inout [Action]) {
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

extension ChannelSelector {
    /// A client wants to be connected. `isSilent` as for `timerFired`.
    mutating func connectionRequested(
        _ id: ClientConnectionID, at now: NIODeadline, isSilent: (ChannelID) -> Bool
    ) -> [Action] {
        self.connections[id] = Connection(deadline: now + self.timing.patience)
        self.wait(id)
        // Somebody waits now: ask again soon, if the last answer is not brand-new.
        if let lastList = self.lastList {
            self.nextList = min(self.nextList, lastList + self.timing.urgentListInterval)
        }
        var actions: [Action] = []
        self.settle(at: now, &actions)
        // A channel that has been silent for long is found out by its first open at once.
        if case .open(_, on: let channel) = actions.last, isSilent(channel) {
            self.probe(at: now, isSilent, &actions)
            self.settle(at: now, &actions)
        }
        return actions
    }

    /// The agent reached the target: the connection carries data from now on.
    mutating func connectionAnswered(_ id: ClientConnectionID) {
        guard case .opening(let channel) = self.connections[id]?.state else { return }
        self.connections[id]?.state = .streaming(channel)
        self.channels[channel]?.unanswered.remove(id)
        self.channels[channel]?.streaming += 1
    }

    /// The connection is over, in whatever state it was.
    mutating func connectionClosed(_ id: ClientConnectionID, at now: NIODeadline) -> [Action] {
        switch self.connections.removeValue(forKey: id)?.state {
        case .opening(let channel): self.channels[channel]?.unanswered.remove(id)
        case .streaming(let channel): self.channels[channel]?.streaming -= 1
        case .waiting, nil: return []
        }
        var actions: [Action] = []
        self.settle(at: now, &actions)
        return actions
    }

    private mutating func wait(_ id: ClientConnectionID) {
        guard let deadline = self.connections[id]?.deadline else { return }
        self.connections[id]?.state = .waiting
        // A new connection goes last; one that has waited before gets its place back.
        var index = self.waiting.endIndex
        while index > self.waiting.startIndex, self.waiting[index - 1].deadline > deadline { index -= 1 }
        self.waiting.insert((id, deadline), at: index)
    }
}

// MARK: - Decisions

extension ChannelSelector {
    /// Oldest first, so that the same events always lead to the same actions.
    private var channelsInOrder: [(key: ChannelID, value: Channel)] {
        self.channels.sorted { $0.key < $1.key }
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

        let needsProbe = self.channels.values.contains { $0.isReady && ($0.isSuspect || !$0.unanswered.isEmpty) }
        if !needsProbe {
            self.nextProbe = nil
        } else if self.nextProbe.map({ $0 <= now }) ?? true {
            self.nextProbe = now + self.timing.probeInterval
        }
    }

    private mutating func chooseCurrent(_ actions: inout [Action]) {
        if let current = self.current, self.channels[current]?.isGood == true { return }
        self.current = self.channels.filter { $0.value.isGood }.keys.max()
        if let current = self.current, let agent = self.channels[current]?.agent {
            self.selection.bind(agent.key)
            actions.append(.agentSelected(current, agent))
        } else {
            self.selection.unbind()
        }
    }

    /// With a current channel, attempts are pointless, and other channels last as long as their connections.
    private mutating func closeUnneeded(_ actions: inout [Action]) {
        guard self.channels.count > 1 else { return }
        for (id, channel) in self.channelsInOrder where id != self.current && channel.isUnused {
            self.channels[id] = nil
            actions.append(.closeChannel(id))
        }
    }

    /// While the server doesn't know a channel's agent, looks in the list whether it is back.
    private mutating func followUnwatched(at now: NIODeadline, _ actions: inout [Action]) {
        guard self.isConnected, self.channels.values.contains(where: { $0.isReady && $0.watch == .no }) else { return }
        self.list(at: now, &actions)
    }

    /// Without a current channel: asks for agents, and opens a channel to the best one.
    private mutating func search(at now: NIODeadline, _ actions: inout [Action]) {
        guard self.isConnected else { return }
        self.list(at: now, &actions)

        var busy: Set<AgentKey> = []
        for channel in self.channels.values {
            guard case .opening(let since) = channel.phase else { continue }
            busy.insert(channel.agent.key)
            if now < since + self.timing.hedgeDelay {
                self.wake(at: since + self.timing.hedgeDelay)
                return
            }
        }
        guard busy.count < Self.maximumOpening else { return }
        if let pausedUntil = self.pausedUntil, now < pausedUntil { return self.wake(at: pausedUntil) }
        for agent in self.selection.ranked(self.agents, at: now) where !busy.contains(agent.key) {
            // The list under way may bring better ones. Failed ones come last, so that there is no other now.
            if let listingSince = self.listingSince, now < listingSince + self.timing.listPatience,
                self.usage == .flows || self.selection.retryTime(of: agent.key) != nil
            {
                return self.wake(at: listingSince + self.timing.listPatience)
            }
            if let retry = self.selection.retryTime(of: agent.key), retry > now {
                self.wake(at: retry)
                continue
            }
            let id = ChannelID(rawValue: self.nextChannel)
            self.nextChannel += 1
            self.channels[id] = Channel(agent: agent, phase: .opening(since: now))
            self.watch(id, &actions)
            actions.append(.openChannel(id, agent))
            self.wake(at: now + self.timing.hedgeDelay)
            return
        }
    }

    private mutating func list(at now: NIODeadline, _ actions: inout [Action]) {
        guard self.listingSince == nil else { return }
        if self.nextList <= now {
            self.listingSince = now
            actions.append(.listAgents)
        } else {
            self.wake(at: self.nextList)
        }
    }

    private mutating func wake(at time: NIODeadline) {
        self.nextSearch = self.nextSearch.map { min($0, time) } ?? time
    }

    /// The channel that takes new connections. Without a current one, and with nothing under way that might give one, the
    /// channel of an agent that the server has lost is better than none: it may have lost its control connection only.
    private var serving: ChannelID? {
        if let current = self.current { return current }
        let isSearching = self.listingSince != nil || self.channels.values.contains { !$0.isReady }
        guard !isSearching else { return nil }
        return self.channels.filter { $0.value.isReady && !$0.value.isSuspect && !$0.value.isLeaving }.keys.max()
    }

    private mutating func openWaiting(_ actions: inout [Action]) {
        guard !self.waiting.isEmpty, let channel = self.serving else { return }
        while let next = self.waiting.popFirst() {
            guard self.connections[next.id] != nil else { continue }
            self.connections[next.id]?.state = .opening(channel)
            self.connections[next.id]?.attempts += 1
            self.channels[channel]?.unanswered.insert(next.id)
            actions.append(.open(next.id, on: channel))
        }
    }
}

extension GoneReason {
    /// Whether the agent has left for good, so that nothing new should be begun in its channel.
    var isFinal: Bool {
        switch self {
        case .unspecified, .disconnected: false
        case .expired, .replaced, .stopped: true
        }
    }
}
