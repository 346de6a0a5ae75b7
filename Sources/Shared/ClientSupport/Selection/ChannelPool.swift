package import AppProto
import CommandSupport
import DequeModule
package import Logging
package import NIOCore
package import PeerChannel
package import PeerPath
package import Signaling

/// Uses the channels of a ``ChannelPool``, on its event loop.
package protocol ChannelPoolDelegate<Carrier>: AnyObject {
    associatedtype Carrier: PeerCarrier

    /// Makes the carrier of a channel that has found a path.
    func makeCarrier(_ context: PeerCarrierContext) throws -> Carrier
    /// The carrier is the one to use from now on.
    func selected(_ carrier: Carrier, of agent: AgentInfo)
    /// A carrier that stood is over.
    func closed(_ carrier: Carrier)
    /// An agent that has a channel is no longer registered; the channel may well work.
    func agentGone(_ agent: AgentKey, _ reason: GoneReason)

    /// Open the connection on this carrier; then call `connectionAnswered` or `connectionClosed`.
    func open(_ id: ClientConnectionID, on carrier: Carrier, of agent: AgentInfo)
    /// Forget the open that is under way; another one follows, or `reject`.
    func withdraw(_ id: ClientConnectionID)
    /// The connection can't be served; it is forgotten.
    func reject(_ id: ClientConnectionID, _ rejection: ChannelSelector.Rejection)
}

extension ChannelPoolDelegate {
    package func selected(_ carrier: Carrier, of agent: AgentInfo) {}
    package func closed(_ carrier: Carrier) {}
    package func agentGone(_ agent: AgentKey, _ reason: GoneReason) {}
}

/// Performs what the ``ChannelSelector`` decides: asks the server, opens and closes channels to agents.
///
/// Belongs to one event loop, which is that of its channels; the control connection may live on another one.
package final class ChannelPool<Carrier: PeerCarrier> {
    private struct Channel {
        let agent: AgentInfo
        let channel: PeerChannel<Carrier>
        /// Whether it has stood at any time.
        var hasStood = false
        /// Why its agent is no longer registered, as far as the server has said.
        var gone: GoneReason?
        /// Runs while the channel misses answers and may yet find another path.
        var healing: Scheduled<Void>?
    }

    /// How long flows stay with a channel that misses answers when there is no other agent: it falls back to the bridge, or
    /// gets a new ICE session, and all flows go on as they are. Less when the server has lost the agent as well, which may
    /// be about to come back.
    private static var healingTime: (usual: TimeAmount, agentIsGone: TimeAmount) { (.seconds(7), .milliseconds(1500)) }
    private static var signalTimeout: TimeAmount { .seconds(5) }
    /// Trouble that lasts is said loudly once in this time.
    private static var warningInterval: TimeAmount { .seconds(60) }
    /// How many names of agents a line of the log shows at most.
    private static var namesShown: Int { 10 }
    /// So many agents' and so many an agent's causes of failure are remembered at most.
    private static var maximumKnownCauses: Int { 256 }

    package let eventLoop: any EventLoop
    /// Not retained.
    package weak var delegate: (any ChannelPoolDelegate<Carrier>)?
    private let signal: SignalClient
    private let kind: OpenPeer.Kind
    private let usage: ChannelSelector.Usage
    private let baseConfiguration: PeerChannelConfiguration
    private let logger: Logger
    private var selector: ChannelSelector
    private var channels: [ChannelID: Channel] = [:]
    private var channelsByPeer: [PeerID: ChannelID] = [:]
    /// Why attempts have failed since the last channel to an agent stood, by the agent's name, and when that was said
    /// loudly: once, and again after a minute.
    private var knownCauses: [String: [String: NIODeadline]] = [:]
    private var unmatched = LogRateLimiter(interval: ChannelPool.warningInterval)
    private var session: SignalSession?
    private var actions: Deque<ChannelSelector.Action> = []
    private var isPerforming = false
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var isClosed = false

    /// - Parameters:
    ///   - kind: of the channels.
    ///   - usage: what the channels are used for.
    ///   - configuration: lacks what is only known once the server is reached: where it answers STUN, and whether that is
    ///     loopback.
    package init(
        pattern: AgentNamePattern, kind: OpenPeer.Kind, usage: ChannelSelector.Usage,
        configuration: PeerChannelConfiguration, signal: SignalClient, eventLoop: any EventLoop, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.signal = signal
        self.kind = kind
        self.usage = usage
        self.baseConfiguration = configuration
        self.logger = logger
        self.selector = ChannelSelector(pattern: pattern, usage: usage, at: eventLoop.now)
    }

    /// Closes every channel; the agents are told.
    package func close() {
        self.isClosed = true
        self.timer?.task.cancel()
        self.timer = nil
        for channel in self.channels.values { channel.channel.close(reason: "the client stops") }
    }

    private var now: NIODeadline { self.eventLoop.now }

    /// Of the path that `carrier` uses; nil when there is none.
    package func path(of carrier: Carrier) -> SelectedPath? {
        self.channels.values.first { $0.channel.carrier === carrier }?.channel.path
    }
}

@available(*, unavailable)
extension ChannelPool: Sendable {}

// MARK: - Connections

extension ChannelPool {
    /// Somebody wants to be connected: `open` or `reject` follows.
    package func connectionRequested(_ id: ClientConnectionID) {
        self.perform(self.selector.connectionRequested(id, at: self.now, isSilent: self.isSilent))
    }

    /// The agent has answered: the connection carries data from now on.
    package func connectionAnswered(_ id: ClientConnectionID) {
        self.selector.connectionAnswered(id)
        self.armTimer()
    }

    /// The connection is over, in whatever state it was.
    package func connectionClosed(_ id: ClientConnectionID) {
        self.perform(self.selector.connectionClosed(id, at: self.now))
    }

    /// `isSuspect` of the carrier has changed.
    package func suspicionChanged(of carrier: Carrier) {
        guard let (id, channel) = self.channels.first(where: { $0.value.channel.carrier === carrier }) else { return }
        channel.healing?.cancel()
        self.channels[id]?.healing = nil
        guard carrier.isSuspect, self.usage == .flows, channel.gone?.isFinal != true else {
            return self.perform(self.selector.suspicionChanged(id, isSuspect: carrier.isSuspect, at: self.now))
        }
        let time = channel.gone == nil ? Self.healingTime.usual : Self.healingTime.agentIsGone
        self.channels[id]?.healing = self.eventLoop.assumeIsolated().scheduleTask(in: time) {
            [weak self, weak carrier] in
            if let carrier { self?.endHealing(of: id, carrier) }
        }
        self.listAgents { [weak self, weak carrier] result in
            guard let self, let carrier, let agents = try? result.get(),
                self.selector.hasAlternative(to: channel.agent.key, in: agents)
            else { return }
            self.endHealing(of: id, carrier)
        }
    }

    /// Flows have waited long enough, or need not wait, as there is another agent.
    private func endHealing(of id: ChannelID, _ carrier: Carrier) {
        guard let healing = self.channels[id]?.healing, !self.isClosed else { return }
        healing.cancel()
        self.channels[id]?.healing = nil
        self.perform(self.selector.suspicionChanged(id, isSuspect: carrier.isSuspect, at: self.now))
    }
}

// MARK: - Performing

extension ChannelPool {
    /// Performs `actions`. What one of them brings about at once is performed after all those decided before it.
    private func perform(_ actions: [ChannelSelector.Action]) {
        self.actions.append(contentsOf: actions)
        guard !self.isPerforming else { return }
        self.isPerforming = true
        while let action = self.actions.popFirst() { self.perform(action) }
        self.isPerforming = false
        self.armTimer()
    }

    private func perform(_ action: ChannelSelector.Action) {
        self.logger.trace("decided", metadata: ["action": "\(action)"])
        switch action {
        case .listAgents: self.listAgents()
        case .watch(let agent): self.watch(agent)
        case .openChannel(let id, let agent): self.openChannel(id, to: agent)
        case .closeChannel(let id): self.closeChannel(id)
        case .open(let id, on: let channel):
            // It may have ended by an action performed just before; then the selector knows already.
            guard let channel = self.channels[channel], let carrier = channel.channel.carrier else { return }
            self.delegate?.open(id, on: carrier, of: channel.agent)
        case .withdraw(let id): self.delegate?.withdraw(id)
        case .reject(let id, let rejection): self.delegate?.reject(id, rejection)
        case .agentSelected(let id, let agent):
            self.logger.info("using the agent", metadata: Self.metadata("agent.selected", agent.key))
            if let carrier = self.channels[id]?.channel.carrier { self.delegate?.selected(carrier, of: agent) }
        case .agentGone(let agent, let reason):
            var metadata = Self.metadata("agent.gone", agent)
            metadata["reason"] = "\(reason)"
            self.logger.info("the agent is gone", metadata: metadata)
            self.delegate?.agentGone(agent, reason)
        }
    }

    /// An armed timer that is early is left as it is: the selector doesn't mind, and most deadlines move on.
    private func armTimer() {
        guard !self.isClosed, let deadline = self.selector.nextDeadline else { return }
        if let timer = self.timer {
            guard deadline < timer.deadline else { return }
            timer.task.cancel()
        }
        let task = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.timer = nil
            self.perform(self.selector.timerFired(at: self.now, isSilent: self.isSilent))
        }
        self.timer = (deadline, task)
    }

    private func isSilent(_ id: ChannelID) -> Bool {
        self.channels[id]?.channel.carrier?.isSuspect ?? false
    }

    private func request(
        _ body: Envelope.Body, _ completion: @escaping (Result<Envelope.Body, any Error>) -> Void
    ) {
        self.signal.request(body, timeout: Self.signalTimeout).hop(to: self.eventLoop).assumeIsolated()
            .whenComplete(completion)
    }

    private func listAgents(_ completion: @escaping (Result<[AgentInfo], any Error>) -> Void) {
        self.signal.agents(timeout: Self.signalTimeout).hop(to: self.eventLoop).assumeIsolated()
            .whenComplete(completion)
    }

    private func listAgents() {
        self.listAgents { result in
            switch result {
            case .success(let agents):
                self.tellIfNoneMatches(agents)
                self.perform(self.selector.agentsListed(agents, at: self.now))
            case .failure(let error):
                self.logger.debug("cannot list the agents", metadata: ["error": "\(error)"])
                self.perform(self.selector.listingFailed(at: self.now))
            }
        }
    }

    /// Without an agent nothing can be done: said at once, and again every minute.
    private func tellIfNoneMatches(_ agents: [AgentInfo]) {
        guard !self.selector.hasChoice(in: agents), !self.channels.values.contains(where: \.hasStood),
            self.unmatched.occurrences(at: self.now) != nil
        else { return }
        let names = Set(agents.map(\.name)).sorted()
        var metadata: Logger.Metadata = ["event": "agent.none", "registered": .stringConvertible(names.count)]
        if !names.isEmpty {
            metadata["pattern"] = "\(self.selector.pattern)"
            metadata["names"] = "\(names.prefix(Self.namesShown).joined(separator: ","))"
        }
        self.logger.warning(
            agents.isEmpty
                ? "no agent is registered with the server: nothing can be reached"
                : "no agent's name matches --agent: nothing can be reached",
            metadata: metadata)
    }

    private func watch(_ agent: AgentKey) {
        self.request(.bind(Bind(name: agent.name, instanceID: agent.instanceID))) { result in
            let failure: FailureCode?
            switch result {
            case .success(.bound):
                failure = nil
                for (id, channel) in self.channels where channel.agent.key == agent && channel.gone != nil {
                    self.channels[id]?.gone = nil
                    channel.channel.agentCameBack()
                }
            case .success: failure = .unspecified
            case .failure(SignalError.failure(let answer)): failure = answer.code
            case .failure: failure = .timedOut
            }
            self.perform(self.selector.watchAnswered(agent, failure: failure, at: self.now))
        }
    }

    private static func metadata(_ event: String, _ agent: AgentKey) -> Logger.Metadata {
        ["event": "\(event)", "agent": "\(agent.name)", "instance": "\(agent.instanceID)"]
    }
}

// MARK: - Channels

extension ChannelPool: PeerChannelDelegate {
    private func openChannel(_ id: ChannelID, to agent: AgentInfo) {
        let channel = PeerChannel<Carrier>(
            agentName: agent.name, instanceID: agent.instanceID, kind: self.kind, configuration: self.configuration,
            signaling: SignalPeering(client: self.signal), eventLoop: self.eventLoop, logger: self.logger)
        self.channels[id] = Channel(agent: agent, channel: channel)
        self.channelsByPeer[channel.peerID] = id
        channel.delegate = self
        let recently = self.now - Self.warningInterval
        channel.knownCauses = Set((self.knownCauses[agent.name] ?? [:]).filter { $0.value > recently }.keys)
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

    /// The channel leaves the tables first, so that the selector doesn't hear of an end that it has asked for.
    private func closeChannel(_ id: ChannelID) {
        guard let channel = self.channels.removeValue(forKey: id) else { return }
        self.channelsByPeer[channel.channel.peerID] = nil
        let carrier = channel.hasStood ? channel.channel.carrier : nil
        channel.channel.close(reason: "not needed any more")
        if let carrier { self.delegate?.closed(carrier) }
    }

    package func peerChannelConnected(_ peerID: PeerID) {
        guard let id = self.channelsByPeer[peerID] else { return }
        self.channels[id]?.hasStood = true
        if let name = self.channels[id]?.agent.name { self.knownCauses[name] = nil }
        self.perform(self.selector.channelReady(id, at: self.now))
    }

    package func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError) {
        guard let id = self.channelsByPeer.removeValue(forKey: peerID) else { return }
        let channel = self.channels.removeValue(forKey: id)
        guard !self.isClosed else { return }
        if let channel, !channel.hasStood { self.remember(reason.cause, of: channel.agent.name) }
        if let channel, channel.hasStood, let carrier = channel.channel.carrier { self.delegate?.closed(carrier) }
        self.perform(self.selector.channelClosed(id, blameAgent: reason.isAgentsFault, at: self.now))
    }

    private func remember(_ cause: String, of agent: String) {
        if self.knownCauses.count >= Self.maximumKnownCauses, self.knownCauses[agent] == nil { self.knownCauses = [:] }
        var causes = self.knownCauses[agent] ?? [:]
        if causes.count >= Self.maximumKnownCauses { causes = [:] }
        // Until a minute after it was said it says nothing new.
        if causes[cause].map({ $0 <= self.now - Self.warningInterval }) ?? true { causes[cause] = self.now }
        self.knownCauses[agent] = causes
    }
}

extension PeerChannelError {
    /// Whether another agent is the better choice now. Trouble on this side would meet every agent alike.
    fileprivate var isAgentsFault: Bool {
        switch self {
        case .noSocket, .noLocalAddress, .closedHere: false
        case .offerFailed(SignalError.notConnected), .offerFailed(SignalError.connectionLost): false
        case .offerFailed, .endToEndProof, .badOffer, .noPath, .noBridge, .silent, .unknownToPeer, .pathLost, .tunnel,
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
        self.perform(self.selector.signalConnected(at: self.now))
    }

    private func tellChannels(isUp: Bool) {
        let bridges = self.session?.welcome.bridge ?? false
        for channel in self.channels.values { channel.channel.signalChanged(isUp: isUp, bridges: bridges) }
    }

    package func signalLost() {
        self.tellChannels(isUp: false)
        self.perform(self.selector.signalLost(at: self.now))
    }

    package func signalReceived(event: Envelope.Body) {
        switch event {
        case .agentGone(let gone):
            let key = AgentKey(name: gone.name, instanceID: gone.instanceID)
            self.noteGone(key, gone.reason)
            self.perform(self.selector.agentGone(key, gone.reason, at: self.now))
        default:
            // Others are of a later version, or such as agents get.
            if let message = PeerMessage(event: event) { self.channel(message.peerID)?.receive(message) }
        }
    }

    /// Channels that miss answers already are looked at anew: they wait less for an agent that is gone.
    private func noteGone(_ key: AgentKey, _ reason: GoneReason) {
        for (id, channel) in self.channels where channel.agent.key == key {
            self.channels[id]?.gone = reason
            if channel.healing != nil, let carrier = channel.channel.carrier { self.suspicionChanged(of: carrier) }
        }
    }

    private func channel(_ peer: PeerID) -> PeerChannel<Carrier>? {
        self.channelsByPeer[peer].flatMap { self.channels[$0]?.channel }
    }
}
