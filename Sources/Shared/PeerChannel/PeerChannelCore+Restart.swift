import AppProto
import HostNetwork
import ICE
import Logging
import NIOCore

/// Keeping a channel that lives on a path: new ICE sessions (RFC 8445 section 9), and the route through the server.
///
/// The client asks, as the controlling side; an agent that has reason to asks the client to.
extension PeerChannelCore {
    /// Whether new sessions make sense: nothing but the bridge is wanted otherwise.
    private var looksForDirectPaths: Bool { self.configuration.pathChoice != .bridge }

    // MARK: Reasons

    /// The search for a direct path has failed, or the path that was found did.
    func directPathFailed(_ report: ICEReport) {
        guard self.ending == nil, let transport = self.transport else { return }
        // A newer session has come to nothing, and the one before carries on.
        if transport.usesDirectPath { return self.restarts.foundDirectPath() }
        let wasFound = self.restarts.hasFoundDirectPath
        if !wasFound { self.sayNoDirectPath(report) }
        // A peer that names no address wants none.
        guard self.side == .client, wasFound || !report.remoteCandidates.isEmpty else { return }
        if wasFound {
            self.restarts.lostDirectPath()
            self.wantRestart(.session, after: .zero)
        } else if transport.path == nil {
            self.wantRestart(.session, after: self.restarts.delayAfterFailure())
        } else {
            self.wantRestart(.session, after: self.configuration.directRetryInterval)
        }
    }

    private func sayNoDirectPath(_ report: ICEReport) {
        let isNews = !self.hasSaidNoDirectPath
        self.hasSaidNoDirectPath = true
        self.logger.log(
            level: isNews ? .info : .debug, "no direct path to the peer", metadata: self.metadata(of: report))
    }

    /// What was tried, and what is known of why that was not enough, for event `peer.paths`.
    func metadata(of report: ICEReport) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "event": "peer.paths", "mapping": "\(self.localMapping)", "peer_mapping": "\(self.peerMapping)",
        ]
        let plan = SpreadPlan(
            local: self.localMapping, peer: self.peerMapping, localSpread: self.configuration.spread,
            peerSpread: Int(clamping: self.peerSpread))
        if case .none(let obstacle) = plan, obstacle != .notNeeded { metadata["reason"] = "\(obstacle)" }
        metadata["report"] = "\(report)"
        return metadata
    }

    /// There were no sockets for a first session; there may be later.
    func retryMissingSession() {
        let interval = self.configuration.directRetryInterval
        switch self.side {
        case .client: self.wantRestart(.session, after: interval)
        case .agent:
            self.eventLoop.assumeIsolated().scheduleTask(in: interval) { [weak self] in
                guard let self, self.ending == nil, let transport = self.transport, transport.current == nil else {
                    return
                }
                self.signaling.sendRestartWanted(RestartWanted(peerID: self.peerID))
                // It may have got lost, or there are no sockets yet.
                self.retryMissingSession()
            }
        }
    }

    /// The control connection is back: the server knows nothing of the channel.
    func signalCameBack() {
        guard self.side == .client, self.isConnected, let transport = self.transport else { return }
        self.wantRestart(transport.usesDirectPath ? .route : .session, after: .zero)
    }

    /// The agent is registered again, and the server knows nothing of the channel, as above. While it was not, restarts
    /// failed, and the next one may be seconds away.
    func agentCameBack() {
        self.restarts.forgetFailures()
        self.signalCameBack()
    }

    /// This machine's addresses or routes have changed, or it has slept.
    func networkChanged(_ change: AddressChange) {
        guard self.isConnected, self.ending == nil, let transport = self.transport else { return }
        transport.suspect()
        // A direct path that nothing of this concerns is left alone.
        guard !transport.usesDirectPath || change.isRerouted || transport.hasLost(change.hasLost) else { return }
        switch self.side {
        case .client: self.wantRestart(.session, after: .zero)
        case .agent: self.signaling.sendRestartWanted(RestartWanted(peerID: self.peerID))
        }
    }

    /// The agent asks for a restart.
    func receive(_ wanted: RestartWanted) {
        guard self.side == .client, self.isConnected else { return }
        self.wantRestart(.session, after: .zero)
    }

    /// Called now and then: a carrier that misses answers is a reason to look at the path.
    func lookAtCarrier() {
        guard self.ending == nil, let carrier = self.carrier, let transport = self.transport else { return }
        guard carrier.isSuspect else {
            // After a long silence round trips look as long as that was, and everything waits for them.
            if self.restarts.carrierIsWell() { carrier.pathChanged() }
            return
        }
        transport.suspect()
        // On the bridge it may be that the agent has come back by another connection.
        let isLong = self.restarts.carrierIsSuspect()
        if isLong, self.side == .client, case .bridge = transport.path { self.wantRestart(.route, after: .zero) }
    }

    // MARK: The client's side

    /// Has a restart made after `delay` at the latest; one that is due earlier stands.
    func wantRestart(_ kind: RestartSchedule.Kind, after delay: TimeAmount) {
        guard self.side == .client, self.ending == nil, self.agent != nil else { return }
        self.restarts.want(self.looksForDirectPaths ? kind : .route)
        self.armRestart(at: max(self.eventLoop.now + delay, self.restarts.earliest))
    }

    private func armRestart(at deadline: NIODeadline) {
        if let timer = self.restartTimer {
            guard deadline < timer.deadline else { return }
            timer.task.cancel()
        }
        let task = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            self?.restartTimer = nil
            self?.restart()
        }
        self.restartTimer = (deadline, task)
    }

    private func restart() {
        guard self.ending == nil, let transport = self.transport else { return }
        // Without a control connection there is nobody to ask; it brings us back here when it is up.
        guard self.signalIsUp, let kind = self.restarts.begin(at: self.eventLoop.now) else { return }
        switch kind {
        case .route:
            self.request(transport, nil)
        case .session:
            guard let generation = self.restarts.nextGeneration() else { return self.request(transport, nil) }
            self.openSession(generation, of: transport) { result in
                switch result {
                case .success(let session): self.request(transport, session)
                case .failure(let error):
                    self.logger.debug("no new session", metadata: ["error": "\(error)"])
                    self.request(transport, nil)
                }
            }
        }
    }

    /// Asks the agent; without a session for the route alone.
    private func request(_ transport: PeerTransport, _ session: DirectSession?) {
        guard self.ending == nil, let agent = self.agent else {
            session?.close()
            return
        }
        var restart = RestartPeer(
            peerID: self.peerID, name: agent.name, instanceID: agent.instanceID,
            generation: session?.generation ?? self.restarts.generation,
            ice: IceParameters(session?.localCredentials ?? transport.localCredentials),
            candidates: session?.localCandidates.forMessage ?? [])
        restart.bridge = self.bridgesHere
        if let key = self.configuration.e2eKey { restart.e2eMAC = PeerOffer.mac(of: restart, key: key) }
        let mac = restart.e2eMAC
        self.signaling.restartPeer(restart).hop(to: self.eventLoop).assumeIsolated().whenComplete { result in
            self.answered(result, session, mac)
        }
    }

    private func answered(
        _ result: Result<RestartPeerReply, any Error>, _ session: DirectSession?, _ mac: [UInt8]
    ) {
        guard self.ending == nil, let transport = self.transport else {
            session?.close()
            return
        }
        do {
            let answer = try result.get()
            guard answer.peerID == self.peerID else {
                throw PeerChannelError.badOffer("the answer names another channel")
            }
            try PeerOffer.verify(answer, restartMAC: mac, key: self.configuration.e2eKey)
            let credentials = try ICECredentials(answer.ice)
            let kind = self.restarts.succeeded()
            self.setPeerBridges(answer.bridge)
            if self.restarts.isWanted { self.armRestart(at: self.restarts.earliest) }
            guard let session, answer.generation == session.generation else {
                session?.close()
                guard self.looksForDirectPaths, !transport.usesDirectPath else { return }
                // The agent is there (again), so that a direct path may be as well. A session that could not be opened, here or
                // there, may be later.
                let delay =
                    kind == .route
                    ? .zero
                    : transport.path == nil
                        ? self.restarts.delayAfterFailure() : self.configuration.directRetryInterval
                return self.wantRestart(.session, after: delay)
            }
            self.restarts.generation = session.generation
            self.restarts.sessionBegan()
            transport.adopt(session)
            self.start(session, credentials, answer.candidates)
            self.gather(session)
            self.receiveEarlyCandidates()
        } catch {
            session?.close()
            self.restartFailed(error)
        }
    }

    private func restartFailed(_ error: any Error) {
        self.logger.debug("restart failed", metadata: ["error": "\(error)"])
        switch (error as? Failure)?.code {
        case .peerUnknown, .instanceMismatch: return self.end(.unknownToPeer, tellingPeer: false)
        default: break
        }
        // A control connection that is lost brings us back by itself.
        let kind = self.restarts.failed()
        self.wantRestart(kind, after: self.restarts.delayAfterFailure())
    }

    // MARK: The agent's side

    /// A client's restart that is to get a session, and where its answer goes.
    struct SessionRequest {
        let restart: RestartPeer
        let credentials: ICECredentials
        let promise: EventLoopPromise<RestartPeerReply>
    }

    /// Answers a client's restart; fails with a `PeerChannelError`.
    func accept(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply> {
        let promise = self.eventLoop.makePromise(of: RestartPeerReply.self)
        do {
            try PeerOffer.verify(restart, key: self.configuration.e2eKey)
            guard let transport = self.transport, self.ending == nil else { throw PeerChannelError.unknownToPeer }
            let credentials = try ICECredentials(restart.ice)
            self.setPeerBridges(restart.bridge)
            guard restart.generation > self.restarts.generation, self.looksForDirectPaths else {
                promise.succeed(self.answer(to: restart, transport.current))
                return promise.futureResult
            }
            self.restarts.generation = restart.generation
            let request = SessionRequest(restart: restart, credentials: credentials, promise: promise)
            if let superseded = self.sessionGate.submit(request) {
                superseded.promise.succeed(self.answer(to: superseded.restart, transport.current))
            }
            self.openRequestedSession()
        } catch {
            promise.fail(error)
        }
        return promise.futureResult
    }

    /// Opens the session that was asked for, if it is time for it, or else when that is so.
    private func openRequestedSession() {
        guard let transport = self.transport, self.ending == nil else { return }
        if let request = self.sessionGate.begin(at: self.eventLoop.now) {
            self.openSession(request.restart.generation, of: transport) { result in
                self.sessionGate.finish()
                self.opened(result, for: request)
                self.openRequestedSession()
            }
        } else if let deadline = self.sessionGate.nextDeadline, self.sessionTimer == nil {
            self.sessionTimer = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
                self?.sessionTimer = nil
                self?.openRequestedSession()
            }
        }
    }

    private func opened(_ result: Result<DirectSession, PeerChannelError>, for request: SessionRequest) {
        let (restart, promise) = (request.restart, request.promise)
        guard let session = try? result.get() else {
            return promise.succeed(self.answer(to: restart, nil))
        }
        guard let transport = self.transport, self.ending == nil,
            restart.generation == self.restarts.generation
        else {
            session.close()
            return self.ending == nil
                ? promise.succeed(self.answer(to: restart, self.transport?.current))
                : promise.fail(PeerChannelError.unknownToPeer)
        }
        self.restarts.sessionBegan()
        transport.adopt(session)
        self.start(session, request.credentials, restart.candidates)
        promise.succeed(self.answer(to: restart, session))
        self.gather(session)
        self.receiveEarlyCandidates()
    }

    /// Without a session of the generation that was asked for, the answer names the one that there is.
    private func answer(to restart: RestartPeer, _ session: DirectSession?) -> RestartPeerReply {
        let credentials = session?.localCredentials ?? self.transport?.localCredentials ?? .random()
        var answer = RestartPeerReply(
            peerID: self.peerID, generation: session?.generation ?? 0, ice: IceParameters(credentials),
            candidates: session?.localCandidates.forMessage ?? [])
        answer.bridge = self.bridgesHere
        if let key = self.configuration.e2eKey {
            answer.e2eMAC = PeerOffer.mac(of: answer, restartMAC: restart.e2eMAC, key: key)
        }
        return answer
    }
}

extension ICECredentials {
    /// What a peer has sent. Throws `.badOffer`.
    init(_ parameters: IceParameters) throws(PeerChannelError) {
        do {
            try self.init(ufrag: parameters.ufrag, pwd: parameters.pwd)
        } catch {
            throw .badOffer("\(error)")
        }
    }
}

extension IceParameters {
    init(_ credentials: ICECredentials) {
        self.init(ufrag: credentials.ufrag, pwd: credentials.pwd)
    }
}

extension [ICECandidate] {
    /// As many as a message takes.
    var forMessage: [Candidate] { self.prefix(AppProtoLimits.candidates).map { Candidate($0) } }
}
