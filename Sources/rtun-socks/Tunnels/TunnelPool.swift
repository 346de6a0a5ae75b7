import AppProto
import DequeModule
import Logging
import NIOCore
import PeerChannel
import SOCKS
import Signaling

/// Performs what the `TunnelSelector` decides: asks the server, opens tunnels, opens streams in them.
///
/// Belongs to one event loop, which is that of the control connection, the tunnels, and the clients' sockets.
final class TunnelPool {
    private struct Tunnel {
        let agent: AgentInfo
        let channel: PeerClientChannel
        /// Whether it has stood at any time.
        var hasStood = false
    }

    /// A connection that has no answer yet.
    private struct Request {
        let target: SOCKSTarget
        let completion: (TargetResult) -> Void
        var opening: TunnelOpening?
    }

    /// How long an agent may take to reach a target; agents give up earlier than that by themselves.
    private static let openTimeout = TimeAmount.seconds(60)
    private static let signalTimeout = TimeAmount.seconds(5)
    /// So many agents' and so many an agent's causes of failure are remembered at most.
    private static let maximumKnownCauses = 256

    private let eventLoop: any EventLoop
    private let signal: SignalClient
    private let baseConfiguration: PeerChannelConfiguration
    private let logger: Logger
    private var selector: TunnelSelector
    private var tunnels: [TunnelID: Tunnel] = [:]
    private var tunnelsByPeer: [PeerID: TunnelID] = [:]
    private var requests: [ConnectionID: Request] = [:]
    /// Why attempts have failed since the last tunnel to an agent stood, by the agent's name: said loudly once.
    private var knownCauses: [String: Set<String>] = [:]
    private var nextConnection: UInt64 = 1
    private var session: SignalSession?
    private var actions: Deque<TunnelSelector.Action> = []
    private var isPerforming = false
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var isClosed = false

    /// `configuration` lacks what is only known once the server is reached: its STUN address, and whether that is loopback.
    init(
        pattern: AgentNamePattern, configuration: PeerChannelConfiguration, signal: SignalClient, logger: Logger
    ) {
        self.eventLoop = signal.eventLoop
        self.signal = signal
        self.baseConfiguration = configuration
        self.logger = logger
        self.selector = TunnelSelector(pattern: pattern, at: signal.eventLoop.now)
    }

    /// Closes every tunnel; the agents are told. Streams are reset.
    func close() {
        self.isClosed = true
        self.timer?.task.cancel()
        self.timer = nil
        for tunnel in self.tunnels.values { tunnel.channel.close(reason: "the client stops") }
    }

    private var now: NIODeadline { self.eventLoop.now }
}

@available(*, unavailable)
extension TunnelPool: Sendable {}

// MARK: - Performing

extension TunnelPool {
    /// Performs `actions`. What one of them brings about at once is performed after all those decided before it.
    private func perform(_ actions: [TunnelSelector.Action]) {
        self.actions.append(contentsOf: actions)
        guard !self.isPerforming else { return }
        self.isPerforming = true
        while let action = self.actions.popFirst() { self.perform(action) }
        self.isPerforming = false
        self.armTimer()
    }

    private func perform(_ action: TunnelSelector.Action) {
        self.logger.trace("decided", metadata: ["action": "\(action)"])
        switch action {
        case .listAgents: self.listAgents()
        case .watch(let agent): self.watch(agent)
        case .openTunnel(let id, let agent): self.openTunnel(id, to: agent)
        case .closeTunnel(let id): self.closeTunnel(id)
        case .open(let id, on: let tunnel): self.open(id, on: tunnel)
        case .withdraw(let id):
            self.requests[id]?.opening?.cancel()
            self.requests[id]?.opening = nil
        case .reject(let id, let rejection): self.reject(id, rejection)
        case .agentSelected(_, let agent):
            self.logger.info("using the agent", metadata: Self.metadata("agent.selected", agent.key))
        case .agentGone(let agent, let reason):
            var metadata = Self.metadata("agent.gone", agent)
            metadata["reason"] = "\(reason)"
            self.logger.info("the agent is gone", metadata: metadata)
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

    private func isSilent(_ id: TunnelID) -> Bool {
        self.tunnels[id]?.channel.isSuspect ?? false
    }

    private func listAgents() {
        self.signal.request(.listAgents, timeout: Self.signalTimeout).assumeIsolated().whenComplete { result in
            switch result {
            case .success(.agentList(let list)):
                self.perform(self.selector.agentsListed(list.agents, at: self.now))
            case .success:
                self.perform(self.selector.listingFailed(at: self.now))
            case .failure(let error):
                self.logger.debug("cannot list the agents", metadata: ["error": "\(error)"])
                self.perform(self.selector.listingFailed(at: self.now))
            }
        }
    }

    private func watch(_ agent: AgentKey) {
        let bind = Bind(name: agent.name, instanceID: agent.instanceID)
        self.signal.request(.bind(bind), timeout: Self.signalTimeout).assumeIsolated().whenComplete { result in
            let failure: FailureCode?
            switch result {
            case .success(.bound): failure = nil
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

// MARK: - Tunnels

extension TunnelPool: PeerClientChannelDelegate {
    private func openTunnel(_ id: TunnelID, to agent: AgentInfo) {
        let channel = PeerClientChannel(
            agentName: agent.name, instanceID: agent.instanceID, configuration: self.configuration,
            signaling: SignalPeering(client: self.signal), eventLoop: self.eventLoop, logger: self.logger)
        self.tunnels[id] = Tunnel(agent: agent, channel: channel)
        self.tunnelsByPeer[channel.peerID] = id
        channel.delegate = self
        channel.knownCauses = self.knownCauses[agent.name] ?? []
        channel.start()
    }

    private var configuration: PeerChannelConfiguration {
        var configuration = self.baseConfiguration
        guard let session = self.session else { return configuration }
        configuration.loopbackOnly = session.serverIsLoopback
        // The server's UDP port has the number of its TCP port.
        if let server = session.remoteAddress, let host = server.ipAddress, let port = server.port {
            configuration.stunServers.insert(.init(host: host, port: UInt16(truncatingIfNeeded: port)), at: 0)
        }
        return configuration
    }

    /// The tunnel leaves the tables first, so that the selector doesn't hear of an end that it has asked for.
    private func closeTunnel(_ id: TunnelID) {
        guard let tunnel = self.tunnels.removeValue(forKey: id) else { return }
        self.tunnelsByPeer[tunnel.channel.peerID] = nil
        tunnel.channel.close(reason: "not needed any more")
    }

    func peerChannelConnected(_ channel: PeerClientChannel) {
        guard let id = self.tunnelsByPeer[channel.peerID] else { return }
        self.tunnels[id]?.hasStood = true
        if let name = self.tunnels[id]?.agent.name { self.knownCauses[name] = nil }
        self.perform(self.selector.tunnelReady(id, at: self.now))
    }

    func peerChannel(_ channel: PeerClientChannel, closed reason: PeerChannelError) {
        guard let id = self.tunnelsByPeer.removeValue(forKey: channel.peerID) else { return }
        let tunnel = self.tunnels.removeValue(forKey: id)
        guard !self.isClosed else { return }
        if let tunnel, !tunnel.hasStood { self.remember(reason.cause, of: tunnel.agent.name) }
        self.perform(self.selector.tunnelClosed(id, blameAgent: reason.isAgentsFault, at: self.now))
    }
}

extension TunnelPool {
    private func remember(_ cause: String, of agent: String) {
        if self.knownCauses.count >= Self.maximumKnownCauses, self.knownCauses[agent] == nil { self.knownCauses = [:] }
        if self.knownCauses[agent, default: []].count >= Self.maximumKnownCauses { self.knownCauses[agent] = [] }
        self.knownCauses[agent, default: []].insert(cause)
    }
}

extension PeerChannelError {
    /// Whether another agent is the better choice now. Trouble on this side would meet every agent alike.
    fileprivate var isAgentsFault: Bool {
        switch self {
        case .noSocket, .noLocalAddress, .closedHere: false
        case .offerFailed(SignalError.notConnected), .offerFailed(SignalError.connectionLost): false
        case .offerFailed, .endToEndProof, .badOffer, .noPath, .pathLost, .tunnel, .closedByPeer: true
        }
    }
}

// MARK: - Connections

extension TunnelPool: TargetConnector {
    func connect(to target: SOCKSTarget, completion: @escaping (TargetResult) -> Void) -> ConnectionID {
        let id = ConnectionID(rawValue: self.nextConnection)
        self.nextConnection += 1
        self.requests[id] = Request(target: target, completion: completion)
        self.perform(self.selector.connectionRequested(id, at: self.now, isSilent: self.isSilent))
        return id
    }

    func cancel(_ id: ConnectionID) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        request.opening?.cancel()
        self.perform(self.selector.connectionClosed(id, at: self.now))
    }

    private func open(_ id: ConnectionID, on tunnelID: TunnelID) {
        // Either may have ended by an action performed just before; then the selector knows already.
        guard let request = self.requests[id], let tunnel = self.tunnels[tunnelID] else { return }
        let target = OpenTcp(host: request.target.hostText, port: request.target.port)
        self.requests[id]?.opening = tunnel.channel.open(target, timeout: Self.openTimeout) { result in
            switch result {
            case .success(let stream): self.opened(id, stream, tunnel.agent)
            // The tunnel is over, which is told next, and makes the selector try another one.
            case .failure(.notConnected): self.requests[id]?.opening = nil
            case .failure(let error): self.fail(id, SOCKSOutcome(error), reason: "\(error)")
            }
        }
    }

    private func opened(_ id: ConnectionID, _ stream: TunnelStream, _ agent: AgentInfo) {
        guard let request = self.requests.removeValue(forKey: id) else { return stream.abandon() }
        self.selector.connectionAnswered(id)
        let target = request.target
        self.logger.debug("connected", metadata: Self.metadata("flow.opened", id, target, agent))
        let ended = { self.perform(self.selector.connectionClosed(id, at: self.now)) }
        let connection = TargetConnection(
            boundAddress: stream.boundAddress,
            makeHandler: {
                StreamSplice(stream: stream) { summary in
                    self.logger.debug(
                        "connection closed",
                        metadata: Self.metadata("flow.closed", id, target, agent).merging([
                            "sent": "\(summary.bytesSent)", "received": "\(summary.bytesReceived)",
                            "reset": "\(summary.wasReset)",
                        ]) { $1 })
                    ended()
                }
            },
            abandon: {
                stream.abandon()
                ended()
            })
        request.completion(.connected(connection))
        self.armTimer()
    }

    private static func metadata(
        _ event: String, _ id: ConnectionID, _ target: SOCKSTarget, _ agent: AgentInfo
    ) -> Logger.Metadata {
        [
            "event": "\(event)", "flow": "\(id.rawValue)", "target": "\(target)", "agent": "\(agent.name)",
        ]
    }

    private func fail(_ id: ConnectionID, _ outcome: SOCKSOutcome, reason: String) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        self.perform(self.selector.connectionClosed(id, at: self.now))
        request.completion(.failed(outcome, reason: reason))
    }

    private func reject(_ id: ConnectionID, _ rejection: TunnelSelector.Rejection) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        let reason =
            switch rejection {
            case .noAgent: "no agent could be reached in time"
            case .tooManyAttempts: "one agent after the other stopped answering"
            }
        request.completion(.failed(.failed, reason: reason))
    }
}

extension SOCKSOutcome {
    /// What the client is told of an open that failed.
    init(_ error: TunnelOpenError) {
        self =
            switch error {
            case .refused(let code, _): SOCKSOutcome(code)
            case .timedOut: .timedOut
            case .streamLimitReached, .notConnected, .brokenStream, .invalidTarget: .failed
            }
    }

    private init(_ code: OpenCode) {
        self =
            switch code {
            case .refused: .refused
            case .hostUnreachable: .hostUnreachable
            case .networkUnreachable: .networkUnreachable
            case .nameNotFound: .nameNotFound
            case .timedOut: .timedOut
            case .policy: .policy
            case .ok, .limit, .badRequest, .failed: .failed
            }
    }
}

// MARK: - The control connection

extension TunnelPool: SignalClientDelegate {
    func signalConnected(_ session: SignalSession) {
        self.session = session
        self.perform(self.selector.signalConnected(at: self.now))
    }

    func signalLost() {
        self.perform(self.selector.signalLost(at: self.now))
    }

    func signalReceived(_ request: SignalRequest) {
        request.failUnsupported()
    }

    func signalReceived(event: Envelope.Body) {
        switch event {
        case .agentGone(let gone):
            let key = AgentKey(name: gone.name, instanceID: gone.instanceID)
            self.perform(self.selector.agentGone(key, gone.reason, at: self.now))
        case .peerCandidate(let candidate):
            self.channel(candidate.peerID)?.receive(candidate)
        case .closePeer(let close):
            self.channel(close.peerID)?.receive(close)
        default:
            break  // An event of a later version, or one that agents get.
        }
    }

    private func channel(_ peer: PeerID) -> PeerClientChannel? {
        self.tunnelsByPeer[peer].flatMap { self.tunnels[$0]?.channel }
    }
}
