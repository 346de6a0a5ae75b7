package import NIOCore

/// Names one channel, from the first attempt on, for as long as the program runs.
package struct ChannelID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static func < (one: ChannelID, other: ChannelID) -> Bool { one.rawValue < other.rawValue }
}

/// Decides which agent to use, when to open a channel to it, and when to leave it. No I/O.
///
/// One channel is *current*: new work goes to it. It stays so until its agent is gone, it closes, or it becomes *suspect*:
/// something sent on it is unanswered while nothing at all has been heard from the peer (``ChannelHealth``). Then the next
/// agent is tried; a slow attempt gets company from a second one rather than holding everybody up. A channel that is no
/// longer current keeps the connections it has until they end. The control connection is needed to find agents and to open
/// channels, and for nothing else: its loss leaves every channel alone.
///
/// Each event returns what to do about it, in order. Then `serving` is the channel that takes new work.
package struct AgentChoice {
    /// The lengths of time that decisions depend on.
    struct Timing {
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
        /// How long flows stay with a channel that misses answers when there is no other agent.
        var healing = TimeAmount.seconds(7)
        /// The same when the server has lost the agent as well, which may be about to come back.
        var healingOfLost = TimeAmount.milliseconds(1500)
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
    package enum Action: Equatable {
        /// Ask the server, then call `agentsListed` or `listingFailed`.
        case listAgents
        /// Bind to the agent, so that the server tells when it goes; then call `watchAnswered`.
        case watch(AgentKey)
        /// Open a channel to the agent, then call `channelReady` or `channelClosed`.
        case openChannel(ChannelID, Agent)
        /// The channel, or the attempt, is not needed any more. Nothing more needs to be told of it.
        case closeChannel(ChannelID)
        /// The channel's agent was away and is registered again: the server has to be told of the channel.
        case restoreRoute(ChannelID)
        /// Opens without an answer are to look for another channel: nothing was sent yet that could be lost.
        case doubt(ChannelID)
        /// New work goes to this channel from now on.
        case serve(ChannelID)
        /// For the log: the channel to this agent is current from now on.
        case agentSelected(ChannelID, Agent)
        /// For the log: an agent with a channel is no longer registered.
        case agentGone(AgentKey, AgentDeparture)
    }

    /// What the server answers to `.watch`.
    package enum WatchAnswer: Sendable {
        /// It will tell when the agent goes.
        case watched
        /// It knows no agent of that name. That one may have lost its control connection just as we did, so its channel is
        /// kept and the watch tried again later.
        case notRegistered
        /// The name belongs to another instance by now: the agent has been restarted or replaced.
        case otherInstance
        /// None that says anything of the agent.
        case failed
    }

    struct Channel {
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
        /// Whether the server knows the agent. Its channel may well work when it does not.
        enum Registration {
            case registered
            /// The agent has lost its control connection.
            case lost
            /// It is listed again; whether the server tells when it goes is being asked.
            case returning
            /// It stops, has expired, or was replaced.
            case left
        }
        let agent: Agent
        var phase: Phase
        var watch = Watch.no
        var registration = Registration.registered
        var health = ChannelHealth.well
        /// Connections that are being opened.
        var unanswered = 0
        /// Connections that carry data.
        var streaming = 0

        var isReady: Bool { self.phase == .ready }
        var isUnused: Bool { self.unanswered == 0 && self.streaming == 0 }
        /// Whether it can be used where nothing better is to be had.
        var isUsable: Bool { self.isReady && self.health.isGood && self.registration != .left }
    }

    /// So many channels may be in the making at a time.
    static let maximumOpening = 3

    let timing: Timing
    let usage: Usage
    var selection: AgentSelection
    /// Whether the control connection stands.
    package internal(set) var isConnected = false
    var list: ListSchedule
    var agents: [Agent] = []
    var channels: [ChannelID: Channel] = [:]
    var current: ChannelID?
    /// The last one that `.serve` named, unless there is none now.
    var announced: ChannelID?
    var nextChannel: UInt64 = 1
    /// When the search for an agent goes on by itself.
    var nextSearch: NIODeadline?
    /// No attempt before this time: the last one failed for a reason that the next one would meet as well.
    var pausedUntil: NIODeadline?
    /// Whether connections wait for a channel: the list of agents is asked for more often.
    package var isAwaited = false

    package init(pattern: AgentNamePattern, usage: Usage, at now: NIODeadline) {
        self.init(pattern: pattern, usage: usage, timing: Timing(), at: now)
    }

    init(pattern: AgentNamePattern, usage: Usage, timing: Timing, at now: NIODeadline) {
        self.usage = usage
        self.selection = AgentSelection(pattern: pattern)
        self.timing = timing
        self.list = ListSchedule(at: now)
    }

    package var pattern: AgentNamePattern { self.selection.pattern }

    /// When to call `timerFired`; `nil`: not before something else happens.
    package var nextDeadline: NIODeadline? {
        (self.channels.values.map(\.health.healingEnd) + [self.nextSearch]).compactMap { $0 }.min()
    }

    /// Whether there is an agent in `list` to choose.
    package func hasChoice(in list: [Agent]) -> Bool { list.contains { self.pattern.matches($0.name) } }

    /// The channel that takes new work. Without a current one, and with nothing under way that might give one, the channel of
    /// an agent that the server has lost is better than none: it may have lost its control connection only.
    package var serving: ChannelID? {
        if let current = self.current { return current }
        let isSearching = self.list.askedAt != nil || self.channels.values.contains { !$0.isReady }
        guard !isSearching else { return nil }
        return self.channels.filter(\.value.isUsable).keys.max()
    }

    func isGood(_ channel: Channel) -> Bool {
        channel.isUsable && (self.usage == .flows || channel.registration != .lost)
    }

    /// How long flows stay with a silent channel; nil: not at all.
    func healingTime(of channel: Channel) -> TimeAmount? {
        switch channel.registration {
        case .registered: self.timing.healing
        case .lost, .returning: self.timing.healingOfLost
        case .left: nil
        }
    }
}
