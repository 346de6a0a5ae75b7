import ICE
package import NIOCore

/// What the two ends of a channel say to each other about sessions, and what each of them does about restarts: the client
/// asks, as the controlling side, and an agent that has reason to asks the client to.
extension PathEngine {
    enum Role {
        case client(ClientRole)
        case agent(AgentRole)
    }

    struct ClientRole {
        var schedule = RestartSchedule()
        /// A session that the agent has been asked for, and has not answered yet.
        var asked: PathSession?
    }

    struct AgentRole {
        struct Request {
            let peer: PathDescription
            let number: UInt64
        }

        var gate = SessionGate<Request>()
        /// The request whose session's sockets are being opened.
        var opening: Request?
        /// When the client is asked for a session, as there were no sockets for one.
        var missingSessionRetryAt: NIODeadline?
    }

    /// Nil at an agent.
    var client: ClientRole? {
        get { if case .client(let client) = self.role { client } else { nil } }
        set { if let newValue, self.client != nil { self.role = .client(newValue) } }
    }

    /// Nil at a client.
    var agent: AgentRole? {
        get { if case .agent(let agent) = self.role { agent } else { nil } }
        set { if let newValue, self.agent != nil { self.role = .agent(newValue) } }
    }

    var iceRole: ICERole { if case .client = self.role { .controlling } else { .controlled } }

    // MARK: What the peer says

    /// The peer has said something of paths.
    package mutating func receive(_ message: PathMessage, at now: NIODeadline) {
        guard self.course != .over else { return }
        switch message {
        case .description(let peer, let answersPadding):
            self.peer.answersPadding = answersPadding
            self.connect(peer, at: now)
        case .candidate(let candidate, let generation):
            if self.keepsEarly(message, for: generation) { break }
            self.with(generation) { $0.addRemote(candidate, at: now) }
        case .endOfCandidates(let generation, let mapping, let spread):
            if self.keepsEarly(message, for: generation) { break }
            (self.peer.mapping, self.peer.spread) = (mapping, spread)
            self.with(generation) { $0.remoteCandidatesEnded(mapping, spread: spread, at: now) }
        case .restart(let peer, let request): self.restart(peer, request, at: now)
        case .restarted(let peer): self.restarted(peer, at: now)
        case .restartFailed: self.restartFailed(at: now)
        case .restartWanted: if self.course == .connected { self.want(.session, at: now) }
        }
        self.settle(at: now)
    }

    /// Whether a message is for a session that is to come, and is kept.
    private mutating func keepsEarly(_ message: PathMessage, for generation: UInt32) -> Bool {
        guard self.sessions.index(of: generation) == nil, generation >= self.sessions.generation else { return false }
        self.early.keep(message, for: generation, newest: self.sessions.generation)
        return true
    }

    private mutating func receiveEarly(at now: NIODeadline) {
        for message in self.early.takeAll() { self.receive(message, at: now) }
    }

    /// The other side's words are known: checks begin.
    private mutating func connect(_ peer: PathDescription, at now: NIODeadline) {
        if self.configuration.choice == .bridge {
            guard self.bridge.serverBridges else { return self.end(.serverDoesNotBridge) }
            guard peer.bridges else { return self.end(.peerDoesNotBridge) }
        }
        let answersPadding = self.peer.answersPadding
        self.with(peer.generation) { $0.start(peer, answersPadding: answersPadding, at: now) }
        self.changeBridge(at: now) { $0.peerBridges = peer.bridges }
        self.receiveEarly(at: now)
    }

    // MARK: Timers

    var roleDeadline: NIODeadline? {
        switch self.role {
        case .client(let client): [client.schedule.due, client.asked?.nextDeadline].compactMap { $0 }.min()
        case .agent(let agent): [agent.gate.nextDeadline, agent.missingSessionRetryAt].compactMap { $0 }.min()
        }
    }

    mutating func handleRoleTimeout(at now: NIODeadline) {
        switch self.role {
        case .client:
            self.client?.asked?.handleTimeout(at: now)
            self.ask(at: now)
        case .agent(let agent):
            self.openRequested(at: now)
            guard let retryAt = agent.missingSessionRetryAt, now >= retryAt else { return }
            self.agent?.missingSessionRetryAt = nil
            guard self.sessions.isEmpty else { return }
            self.put(.wantRestart)
            // It may get lost, or there are no sockets yet.
            self.retryMissingSession(at: now)
        }
    }

    // MARK: Reasons for a restart

    /// Has a restart made after `delay` at the latest; an agent does not make any.
    mutating func want(_ kind: RestartSchedule.Kind, after delay: TimeAmount = .zero, at now: NIODeadline) {
        guard self.course != .over else { return }
        let kind = self.looksForDirectPaths ? kind : .route
        self.client?.schedule.want(kind, after: delay, at: now)
    }

    /// A new session is wanted: a client has it made, an agent asks for it.
    mutating func wantSession(at now: NIODeadline) {
        switch self.role {
        case .client: self.want(.session, at: now)
        case .agent: self.put(.wantRestart)
        }
    }

    /// There are no sockets for a first session; there may be later.
    mutating func retryMissingSession(at now: NIODeadline) {
        let interval = self.configuration.directRetryInterval
        self.want(.session, after: interval, at: now)
        self.agent?.missingSessionRetryAt = now + interval
    }

    /// A direct path has failed, or none was found.
    mutating func lookAgain(wasFound: Bool, at now: NIODeadline) {
        guard self.client != nil else { return }
        if wasFound {
            // The loss has been taken care of: the next one counts for the session that follows.
            self.sessions.hasFoundDirectPath = false
            self.want(.session, at: now)
        } else {
            self.want(.session, after: self.delayUntilNextTry(), at: now)
        }
    }

    private mutating func delayUntilNextTry() -> TimeAmount {
        let delay = self.route == nil ? self.client?.schedule.delayAfterFailure() : nil
        return delay ?? self.configuration.directRetryInterval
    }

    // MARK: The client's side

    /// Makes the request that is due.
    private mutating func ask(at now: NIODeadline) {
        // Without a control connection there is nobody to ask; it brings us back here when it is up.
        let (canAsk, newest) = (self.bridge.signalIsUp, self.sessions.generation)
        guard let kind = self.client?.schedule.begin(at: now, canAsk: canAsk) else { return }
        if kind == .session, let generation = self.client?.schedule.nextGeneration(after: newest) {
            self.put(.openSockets(generation: generation))
        } else {
            self.askAgent(for: nil)
        }
    }

    /// Asks the agent; without a session for the route alone.
    private mutating func askAgent(for session: PathSession?) {
        self.client?.asked = session
        var description = self.description(of: session)
        if session == nil { description.generation = self.sessions.generation }
        self.put(.askRestart(description))
    }

    /// The agent has answered.
    private mutating func restarted(_ peer: PathDescription, at now: NIODeadline) {
        guard let kind = self.client?.schedule.succeeded() else { return }
        let asked = self.client?.asked
        self.client?.asked = nil
        self.changeBridge(at: now) { $0.peerBridges = peer.bridges }
        guard let asked, asked.generation == peer.generation else {
            if let asked { self.put(.closeSockets(generation: asked.generation)) }
            guard self.looksForDirectPaths, !self.usesDirectPath else { return }
            // The agent is there (again), so that a direct path may be as well. A session that could not be opened, here or
            // there, may be later.
            return self.want(.session, after: kind == .route ? .zero : self.delayUntilNextTry(), at: now)
        }
        self.begin(asked, with: peer, at: now)
        self.put(.lookUpServers(generation: asked.generation))
        self.receiveEarly(at: now)
    }

    private mutating func restartFailed(at now: NIODeadline) {
        self.withdrawAsked()
        // A control connection that is lost brings us back by itself.
        guard let kind = self.client?.schedule.failed(), let delay = self.client?.schedule.delayAfterFailure() else {
            return
        }
        self.want(kind, after: delay, at: now)
    }

    /// The session that was asked for is of no use.
    mutating func withdrawAsked() {
        guard let asked = self.client?.asked else { return }
        self.client?.asked = nil
        self.put(.closeSockets(generation: asked.generation))
    }

    /// A STUN message for a session that the agent may know already.
    mutating func receiveAsked(
        _ message: ByteBuffer, on base: PathBase, from source: SocketAddress, at now: NIODeadline
    ) {
        guard self.client?.asked?.generation == base.generation else { return }
        self.client?.asked?.receive(message, on: base.base, from: source, at: now)
    }

    mutating func nextAskedOutput() -> (UInt32, PathSession.Output)? {
        guard let asked = self.client?.asked, let output = self.client?.asked?.nextOutput() else { return nil }
        return (asked.generation, output)
    }

    // MARK: The agent's side

    /// A client wants a session, or its route.
    private mutating func restart(_ peer: PathDescription, _ request: UInt64, at now: NIODeadline) {
        self.changeBridge(at: now) { $0.peerBridges = peer.bridges }
        guard peer.generation > self.sessions.generation, self.looksForDirectPaths, self.agent != nil else {
            return self.answer(request, with: self.sessions.newest)
        }
        self.sessions.generation = peer.generation
        if let superseded = self.agent?.gate.submit(AgentRole.Request(peer: peer, number: request)) {
            self.answer(superseded.number, with: self.sessions.newest)
        }
    }

    /// Opens sockets for the session that was asked for, if it is time for it.
    private mutating func openRequested(at now: NIODeadline) {
        guard let request = self.agent?.gate.begin(at: now) else { return }
        self.agent?.opening = request
        self.put(.openSockets(generation: request.peer.generation))
    }

    /// Without a session of the generation that was asked for, the answer names the one that there is.
    private mutating func answer(_ request: UInt64, with session: PathSession?) {
        self.put(.answerRestart(self.description(of: session), request: request))
    }

    // MARK: Both

    /// The sockets of a session after the first are open; nil: could not be opened.
    mutating func opened(_ session: PathSession?, _ generation: UInt32, at now: NIODeadline) {
        if self.client?.schedule.asksFor(generation) ?? false {
            self.askAgent(for: session)
        } else if let request = self.agent?.opening, request.peer.generation == generation {
            self.agent?.opening = nil
            self.agent?.gate.finish()
            guard let session else { return self.answer(request.number, with: nil) }
            guard generation == self.sessions.generation else {
                self.put(.closeSockets(generation: generation))
                return self.answer(request.number, with: self.sessions.newest)
            }
            self.begin(session, with: request.peer, at: now)
            self.answer(request.number, with: session)
            self.put(.lookUpServers(generation: generation))
            self.receiveEarly(at: now)
        } else if session != nil {
            self.put(.closeSockets(generation: generation))
        }
    }
}
