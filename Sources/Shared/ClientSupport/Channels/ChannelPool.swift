package import AgentChoice
package import AppProto
import Basics
import DequeModule
package import Logging
package import NIOCore
package import PeerChannel
package import PeerPath
package import Signaling

/// Performs what ``AgentChoice`` decides: asks the server, opens and closes channels to agents.
///
/// Belongs to one event loop, which is that of its channels; the control connection may live on another one.
package final class ChannelPool<Carrier: PeerCarrier> {
    struct Channel {
        let agent: Agent
        let channel: PeerChannel<Carrier>
        /// What the agent has proved; known where there are known agents.
        var key: CertificateFingerprint?
        /// Whether it has stood at any time.
        var hasStood = false
    }

    private static var signalTimeout: TimeAmount { .seconds(5) }

    // 18 stored variables: the first seven, and the guard, are what it is made with.
    package let eventLoop: any EventLoop
    /// Not retained.
    package weak var delegate: (any ChannelPoolDelegate<Carrier>)?
    private let signal: SignalClient
    private let kind: OpenPeer.Kind
    private let baseConfiguration: PeerChannelConfiguration
    private let logger: Logger
    private(set) var choice: AgentChoice
    var channels: [ChannelID: Channel] = [:]
    private var channelsByPeer: [PeerID: ChannelID] = [:]
    private(set) var agents: [Agent] = []
    /// What has become of channels that are over.
    private(set) var past = ChannelTotals()
    private var trouble = AgentTrouble()
    /// Says which agents may be used by their keys; nil: all may.
    let keyGuard: AgentKeyGuard?
    private var session: SignalSession?
    private var actions: Deque<AgentChoice.Action> = []
    private var isPerforming = false
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var isClosed = false

    /// - Parameters:
    ///   - kind: of the channels.
    ///   - usage: what the channels are used for.
    ///   - configuration: lacks what is only known once the server is reached: where it answers STUN, and whether that is
    ///     loopback.
    ///   - keys: what agents are known by; nil: any key will do.
    package init(
        pattern: AgentNamePattern, kind: OpenPeer.Kind, usage: AgentChoice.Usage,
        configuration: PeerChannelConfiguration, keys: AgentKeys? = nil, signal: SignalClient,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.signal = signal
        self.kind = kind
        self.baseConfiguration = configuration
        self.logger = logger
        self.choice = AgentChoice(pattern: pattern, usage: usage, at: eventLoop.now)
        self.keyGuard = keys.map {
            AgentKeyGuard($0, pattern: pattern, signal: signal, eventLoop: eventLoop, logger: logger)
        }
        keys?.subscribe(on: eventLoop) { [weak self] in self?.keysChanged() }
        self.keyGuard?.look = { [weak self] in self?.listAgents() }
    }

    /// Closes every channel; the agents are told.
    package func close() {
        self.isClosed = true
        self.timer?.task.cancel()
        self.timer = nil
        for channel in self.channels.values { channel.channel.close(reason: "the client stops") }
    }

    private var now: NIODeadline { self.eventLoop.now }

    /// The channel that takes new work, and whose it is.
    package var serving: (agent: Agent, channel: PeerChannel<Carrier>)? {
        self.choice.serving.flatMap { self.channels[$0] }.map { ($0.agent, $0.channel) }
    }

    /// Of the path that `carrier` uses; nil when there is none.
    package func path(of carrier: Carrier) -> SelectedPath? {
        self.channels.values.first { $0.channel.carrier === carrier }?.channel.path
    }
}

@available(*, unavailable)
extension ChannelPool: Sendable {}

// MARK: - Connections

extension ChannelPool {
    /// Whether the control connection stands.
    package var hasServer: Bool { self.choice.isConnected }

    /// Whether connections wait for a channel: agents are looked for more often then.
    package var isAwaited: Bool {
        get { self.choice.isAwaited }
        set { self.choice.isAwaited = newValue }
    }

    /// The channel for one more connection, until `answered` or `ended` is told of it; nil: `serves` will tell.
    package func claim() -> AgentChannel<Carrier>? {
        let (id, actions) = self.choice.claim(at: self.now)
        self.perform(actions)
        let channel = id.flatMap { self.channel($0) }
        if channel == nil { self.missed() }
        return channel
    }

    /// Something has no channel to go to: that there is none is told again from time to time.
    package func missed() { self.trouble.wanted() }

    /// Why there is no channel, for whoever has waited for one in vain; nil when nothing is known to stand in the way.
    package var obstacle: String? {
        guard self.choice.isConnected else { return "there is no connection to the server" }
        return self.keyGuard?.obstacle ?? self.trouble.reason(at: self.now)
    }

    /// The agent has answered: the connection carries data from now on.
    package func answered(on channel: ChannelID) {
        self.choice.connectionAnswered(on: channel)
    }

    /// The connection is over, or is not opened on this channel any more.
    package func ended(on channel: ChannelID, wasAnswered: Bool) {
        self.perform(self.choice.connectionEnded(on: channel, wasAnswered: wasAnswered, at: self.now))
    }

    /// Nil when it has ended by something done just before; then the choice knows already.
    private func channel(_ id: ChannelID) -> AgentChannel<Carrier>? {
        guard let channel = self.channels[id], let carrier = channel.channel.carrier else { return nil }
        return AgentChannel(id: id, agent: channel.agent, carrier: carrier)
    }
}

// MARK: - Performing

extension ChannelPool {
    /// Performs `actions`, after `told`. What one of them brings about at once is performed after all those decided before it.
    func perform(_ actions: [AgentChoice.Action], after told: () -> Void = {}) {
        self.actions.append(contentsOf: actions)
        guard !self.isPerforming else { return told() }
        self.isPerforming = true
        told()
        while let action = self.actions.popFirst() { self.perform(action) }
        self.isPerforming = false
        self.armTimer()
    }

    private func perform(_ action: AgentChoice.Action) {
        self.logger.trace("decided", metadata: ["action": "\(action)"])
        switch action {
        case .listAgents: self.listAgents()
        case .watch(let agent): self.watch(agent)
        case .openChannel(let id, let agent): self.openChannel(id, to: agent)
        case .closeChannel(let id): self.closeChannel(id)
        case .restoreRoute(let id): self.channels[id]?.channel.agentCameBack()
        case .doubt(let id): self.delegate?.doubts(id)
        case .serve(let id):
            if let channel = self.channel(id) { self.delegate?.serves(channel) }
        case .agentSelected(_, let agent):
            self.selected(agent)
        case .agentGone(let agent, let departure):
            var metadata = Self.metadata("agent.gone", agent)
            metadata["reason"] = "\(departure)"
            self.logger.info("the agent is gone", metadata: metadata)
            self.delegate?.agentGone(agent)
        }
    }

    /// An armed timer that is early is left as it is: the choice doesn't mind, and most deadlines move on.
    private func armTimer() {
        guard !self.isClosed, let deadline = self.choice.nextDeadline else { return }
        if let timer = self.timer {
            guard deadline < timer.deadline else { return }
            timer.task.cancel()
        }
        let task = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.timer = nil
            self.perform(self.choice.timerFired(at: self.now))
        }
        self.timer = (deadline, task)
    }

    func listAgents() {
        let answer = self.signal.agents(timeout: Self.signalTimeout).hop(to: self.eventLoop)
        answer.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let agents):
                self.agents = agents.map { Agent($0) }
                self.tellIfNoneMatches()
                let usable = self.keyGuard.map { $0.usable(agents).map { Agent($0) } } ?? self.agents
                self.perform(self.choice.agentsListed(usable, at: self.now))
            case .failure(let error):
                self.logger.debug("cannot list the agents", metadata: ["error": "\(error)"])
                self.perform(self.choice.listingFailed(at: self.now))
            }
        }
    }

    private func selected(_ agent: Agent) {
        var metadata = Self.metadata("agent.selected", agent.key)
        var message: Logger.Message = "using the agent"
        if let time = self.trouble.over(at: self.now) {
            metadata["after_s"] = .stringConvertible(time.wholeSeconds)
            if time >= .seconds(1) { message = "using the agent, after \(time.words) without one" }
        }
        self.logger.info(message, metadata: metadata)
    }

    /// Without an agent nothing can be done: said at once, and again every five minutes while somebody wants one.
    private func tellIfNoneMatches() {
        guard !self.choice.hasChoice(in: self.agents) else { return self.trouble.somebodyMatches(at: self.now) }
        guard !self.channels.values.contains(where: \.hasStood) else { return }
        let names = Set(self.agents.map(\.name)).sorted()
        let pattern = "\(self.choice.pattern)"
        guard let notice = self.trouble.nobody(among: names, matches: pattern, at: self.now) else { return }
        var metadata: Logger.Metadata = ["registered": .stringConvertible(names.count)]
        if !names.isEmpty {
            metadata["pattern"] = "\(pattern)"
            metadata["names"] = "\(names.prefix(AgentTrouble.namesShown).joined(separator: ","))"
        }
        self.tell(notice, "agent.none", metadata)
    }

    private func tell(_ notice: AgentTrouble.Notice, _ event: String, _ metadata: Logger.Metadata) {
        var metadata = metadata
        metadata["event"] = "\(event)"
        metadata["for_s"] = notice.lasting.map { .stringConvertible($0.wholeSeconds) }
        let time = notice.lasting.map { " (for \($0.words) now)" } ?? ""
        self.logger.warning("\(notice.message)\(time)", metadata: metadata)
    }

    private func watch(_ agent: AgentKey) {
        let bind = Envelope.Body.bind(Bind(name: agent.name, instanceID: agent.instanceID))
        let answer = self.signal.request(bind, timeout: Self.signalTimeout).hop(to: self.eventLoop)
        answer.assumeIsolated().whenComplete { result in
            let answer: AgentChoice.WatchAnswer =
                switch result {
                case .success(.bound): .watched
                case .failure(SignalError.failure(let failure)) where failure.code == .notFound: .notRegistered
                case .failure(SignalError.failure(let failure)) where failure.code == .instanceMismatch: .otherInstance
                case .success, .failure: .failed
                }
            self.perform(self.choice.watchAnswered(agent, answer, at: self.now))
        }
    }

    private static func metadata(_ event: String, _ agent: AgentKey) -> Logger.Metadata {
        ["event": "\(event)", "agent": "\(agent.name)", "instance": "\(agent.instance)"]
    }
}

// MARK: - Channels

extension ChannelPool: PeerChannelDelegate {
    private func openChannel(_ id: ChannelID, to agent: Agent) {
        let channel = PeerChannel<Carrier>(
            agentName: agent.name, instanceID: agent.key.instanceID, kind: self.kind,
            configuration: self.configuration, keyCheck: self.keyCheck(of: agent, id),
            signaling: SignalPeering(client: self.signal), eventLoop: self.eventLoop, logger: self.logger)
        self.channels[id] = Channel(agent: agent, channel: channel)
        self.channelsByPeer[channel.peerID] = id
        channel.delegate = self
        channel.knownCauses = self.trouble.known(of: agent.name, at: self.now)
        channel.start { [weak self] context in
            guard let delegate = self?.delegate else { throw ChannelError.alreadyClosed }
            return try delegate.makeCarrier(context)
        }
    }

    private var configuration: PeerChannelConfiguration {
        var configuration = self.baseConfiguration
        guard let session = self.session else { return configuration }
        configuration.loopbackOnly = session.serverIsLoopback
        configuration.serverBridges = session.welcome.bridge
        configuration.stunServers.insert(
            contentsOf: PeerChannelConfiguration.STUNServerAddress.servers(
                reachedAt: session.remoteAddress, announced: session.welcome.stunServers), at: 0)
        return configuration
    }

    /// The channel leaves the tables first, so that the choice doesn't hear of an end that it has asked for.
    private func closeChannel(_ id: ChannelID) {
        let known = self.channel(id)
        guard let channel = self.channels.removeValue(forKey: id) else { return }
        self.channelsByPeer[channel.channel.peerID] = nil
        self.past += channel.channel.totals
        channel.channel.close(reason: "not needed any more")
        if channel.hasStood, let known { self.delegate?.closed(known) }
    }

    package func peerChannelConnected(_ peerID: PeerID) {
        guard let id = self.channelsByPeer[peerID] else { return }
        self.channels[id]?.hasStood = true
        if let name = self.channels[id]?.agent.name { self.trouble.stands(name) }
        self.perform(self.choice.channelReady(id, at: self.now))
    }

    package func peerChannel(_ peerID: PeerID, isSuspect: Bool) {
        guard !self.isClosed, let id = self.channelsByPeer[peerID] else { return }
        self.perform(self.choice.suspicionChanged(id, isSuspect: isSuspect, at: self.now))
    }

    package func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError) {
        guard let id = self.channelsByPeer.removeValue(forKey: peerID) else { return }
        let known = self.channel(id)
        let channel = self.channels.removeValue(forKey: id)
        if let channel { self.past += channel.channel.totals }
        guard !self.isClosed else { return }
        if let channel, !channel.hasStood { self.attemptFailed(channel.agent, reason) }
        self.perform(self.choice.channelClosed(id, blameAgent: reason.isAgentsFault, at: self.now)) {
            if channel?.hasStood == true, let known { self.delegate?.closed(known) }
        }
    }
}

extension ChannelPool {
    /// Other keys are known than before.
    private func keysChanged() {
        self.closeUnknown()
        self.perform(self.choice.permissionsChanged(at: self.now))
    }

    private func attemptFailed(_ agent: Agent, _ reason: PeerChannelError) {
        // One that is closed here is not needed any more, which says nothing of its agent.
        if case .closedHere = reason { return }
        let candidates = Set(self.agents.map(\.name).filter(self.choice.pattern.matches)).sorted()
        let notice = self.trouble.attemptFailed(agent.name, reason.cause, candidates: candidates, at: self.now)
        guard let notice, !self.channels.values.contains(where: \.hasStood) else { return }
        self.tell(notice, "agent.unreachable", ["agents": .stringConvertible(candidates.count)])
    }
}

extension PeerChannelError {
    /// Whether another agent is the better choice now. Trouble on this side would meet every agent alike.
    fileprivate var isAgentsFault: Bool {
        switch self {
        case .noSocket, .noLocalAddress, .closedHere: false
        case .offerFailed(SignalError.notConnected), .offerFailed(SignalError.connectionLost): false
        case .offerFailed, .endToEndProof, .keyRefused, .badOffer, .noPath, .noBridge, .silent, .unknownToPeer,
            .pathLost, .tunnel,
            .datagramChannel, .handshakeTimedOut, .closedByPeer:
            true
        }
    }
}

// MARK: - The control connection

extension ChannelPool: SignalListener {
    package func signalConnected(_ session: SignalSession) {
        self.session = session
        self.tellChannels(isUp: true)
        self.perform(self.choice.signalConnected(at: self.now))
    }

    private func tellChannels(isUp: Bool) {
        let bridges = self.session?.welcome.bridge ?? false
        for channel in self.channels.values { channel.channel.signalChanged(isUp: isUp, bridges: bridges) }
    }

    package func signalLost() {
        self.tellChannels(isUp: false)
        self.perform(self.choice.signalLost(at: self.now))
    }

    package func signalReceived(event: Envelope.Body) {
        switch event {
        case .agentGone(let gone):
            let key = AgentKey(gone.name, gone.instanceID)
            self.perform(self.choice.agentGone(key, AgentDeparture(gone.reason), at: self.now))
        case .keyGone(let gone):
            for channel in Array(self.channels.values) { channel.channel.close(ifWith: gone.fingerprint) }
        case .askPeerKeys:
            for channel in self.channels.values { channel.channel.tellPeerKey() }
        default:
            // Others are of a later version, or such as agents get.
            if let message = PeerMessage(event: event) { self.channel(message.peerID)?.receive(message) }
        }
    }

    private func channel(_ peer: PeerID) -> PeerChannel<Carrier>? {
        self.channelsByPeer[peer].flatMap { self.channels[$0]?.channel }
    }
}
