import AppProto
package import Basics
import ICE
import NIOCore
import PeerPath

/// What the two ends say to each other through the control connection: offer and answer, candidates, restarts.
extension PeerChannel {
    /// The control connection has brought something.
    package func receive(_ message: PeerMessage) {
        guard !self.isEnding else {
            if case .restart(_, let promise) = message { promise.fail(PeerChannelError.unknownToPeer) }
            return
        }
        switch message {
        case .candidate(let candidate): self.receive(candidate)
        case .close(let close): self.end(.closedByPeer(reason: close.reason), tellingPeer: false)
        case .bridge(let bridge): self.paths.receiveFromBridge(bridge.datagrams, segmentSize: bridge.segmentSize)
        case .restartWanted: self.paths.tell { $0.receive(.restartWanted, at: $1) }
        case .restart(let restart, let promise): self.receive(restart, promise)
        }
    }

    /// The control connection has come up or was lost.
    ///
    /// - Parameter bridges: whether its server carries datagrams between peers.
    package func signalChanged(isUp: Bool, bridges: Bool) {
        guard !self.isEnding else { return }
        self.paths.tell { $0.signalChanged(isUp: isUp, bridges: bridges, at: $1) }
        // The server may have ceased to let the other side in meanwhile, and knows nothing of a channel from before.
        if isUp { self.tellPeerKey() }
    }

    /// Tells the server whom the channel is with, as it has asked.
    package func tellPeerKey() {
        guard !self.isEnding, let key = self.peerFingerprint else { return }
        self.signaling.sendEvent(.peerKey(PeerKey(key)))
    }

    /// The agent, which had left the server's registry, is registered again: the channel's route through the server is
    /// restored at once.
    package func agentCameBack() {
        guard !self.isEnding else { return }
        self.paths.tell { $0.agentCameBack(at: $1) }
    }

    /// The server does not let the holder of `key` in any more, or not to this side.
    package func close(ifWith key: CertificateFingerprint) {
        guard self.peerFingerprint == key else { return }
        self.receive(
            .close(ClosePeer(peerID: self.peerID, reason: "the server does not let the other side in any more")))
    }

    private func receive(_ candidate: PeerCandidate) {
        let generation = candidate.generation
        self.paths.tell { engine, now in
            if let candidate = candidate.candidate.flatMap({ ICECandidate($0) }) {
                engine.receive(.candidate(candidate, generation: generation), at: now)
            }
            if candidate.endOfCandidates {
                engine.receive(
                    .endOfCandidates(
                        generation: generation, candidate.mapping, spread: Int(clamping: candidate.spread)), at: now)
            }
        }
    }

    /// What the engine wants said.
    func signal(_ output: PathOutput) {
        switch output {
        case .described:
            switch self.role {
            case .client(let name, let instanceID, let kind, let agent, _):
                self.offer(to: name, instanceID, kind, agent)
            case .agent(let offer, let answer): self.answer(offer, answer)
            }
        case .candidate(let candidate, let generation):
            var message = PeerCandidate(peerID: self.peerID, candidate: Candidate(candidate))
            message.generation = generation
            self.signaling.sendEvent(.peerCandidate(message))
        case .endOfCandidates(let generation, let mapping):
            var message = PeerCandidate(endOfCandidatesOf: self.peerID)
            message.generation = generation
            message.mapping = mapping
            message.spread = UInt32(clamping: self.configuration.spread)
            self.signaling.sendEvent(.peerCandidate(message))
        case .askRestart(let description): self.askRestart(description)
        case .answerRestart(let description, let request): self.answerRestart(description, request)
        case .wantRestart: self.signaling.sendEvent(.restartWanted(RestartWanted(peerID: self.peerID)))
        default: break
        }
    }

    // MARK: Offer and answer

    private func offer(
        to name: String, _ instanceID: InstanceID, _ kind: OpenPeer.Kind, _ agent: any ClientPeerSignaling
    ) {
        let local = self.paths.engine.localDescription
        var offer = OpenPeer(
            peerID: self.peerID, name: name, instanceID: instanceID, ice: local.ice, candidates: local.wireCandidates,
            fingerprint: self.configuration.identity.leafFingerprint.bytes, kind: kind)
        offer.bridge = local.bridges
        offer.paddedChecks = true
        if let key = self.configuration.e2eKey { offer.e2eMAC = PeerOffer.mac(of: offer, key: key) }
        let offerMAC = offer.e2eMAC
        self.peerKnows = true
        agent.openPeer(offer).hop(to: self.eventLoop).assumeIsolated().whenComplete { result in
            guard !self.isEnding else { return }
            switch result {
            case .success(let answer): self.received(answer, offerMAC: offerMAC)
            // There is nobody on the other side who would want to hear of the end.
            case .failure(let error): self.end(.offerFailed(error), tellingPeer: false)
            }
        }
    }

    private func received(_ answer: OpenPeerReply, offerMAC: [UInt8]) {
        do throws(PeerChannelError) {
            guard answer.peerID == self.peerID else {
                throw .badOffer("the answer names another channel")
            }
            try PeerOffer.verify(answer, offerMAC: offerMAC, key: self.configuration.e2eKey)
            try self.connect(
                ice: answer.ice, candidates: answer.candidates, fingerprint: answer.fingerprint, bridge: answer.bridge,
                paddedChecks: answer.paddedChecks)
        } catch {
            self.end(error, tellingPeer: true)
        }
    }

    private func answer(_ offer: OpenPeer, _ promise: EventLoopPromise<OpenPeerReply>) {
        // What gathering brings is told behind the answer, and is not asked for before this is over.
        let local = self.paths.engine.localDescription
        do throws(PeerChannelError) {
            try self.connect(
                ice: offer.ice, candidates: offer.candidates, fingerprint: offer.fingerprint, bridge: offer.bridge,
                paddedChecks: offer.paddedChecks)
        } catch {
            return self.end(error, tellingPeer: false)
        }
        var answer = OpenPeerReply(
            peerID: self.peerID, ice: local.ice, candidates: local.wireCandidates,
            fingerprint: self.configuration.identity.leafFingerprint.bytes)
        answer.bridge = local.bridges
        answer.paddedChecks = true
        if let key = self.configuration.e2eKey {
            answer.e2eMAC = PeerOffer.mac(of: answer, offerMAC: offer.e2eMAC, key: key)
        }
        self.peerKnows = true
        promise.succeed(answer)
    }

    // MARK: Restarts

    private func askRestart(_ description: PathDescription) {
        guard case .client(let name, let instanceID, _, let agent, _) = self.role else { return }
        var restart = RestartPeer(
            peerID: self.peerID, name: name, instanceID: instanceID, generation: description.generation,
            ice: description.ice, candidates: description.wireCandidates)
        restart.bridge = description.bridges
        if let key = self.configuration.e2eKey { restart.e2eMAC = PeerOffer.mac(of: restart, key: key) }
        let mac = restart.e2eMAC
        agent.restartPeer(restart).hop(to: self.eventLoop).assumeIsolated().whenComplete { result in
            guard !self.isEnding else { return }
            do {
                let peer = try self.verified(result.get(), restartMAC: mac)
                self.paths.tell { $0.receive(.restarted(peer), at: $1) }
            } catch {
                self.restartFailed(error)
            }
        }
    }

    private func verified(_ answer: RestartPeerReply, restartMAC: [UInt8]) throws(PeerChannelError) -> PathDescription {
        guard answer.peerID == self.peerID else { throw .badOffer("the answer names another channel") }
        try PeerOffer.verify(answer, restartMAC: restartMAC, key: self.configuration.e2eKey)
        return try PathDescription(
            generation: answer.generation, ice: answer.ice, candidates: answer.candidates, bridges: answer.bridge)
    }

    private func restartFailed(_ error: any Error) {
        self.logger.debug("restart failed", metadata: ["error": "\(error)"])
        switch (error as? Failure)?.code {
        case .peerUnknown, .instanceMismatch: self.end(.unknownToPeer, tellingPeer: false)
        default: self.paths.tell { $0.receive(.restartFailed, at: $1) }
        }
    }

    /// A client's restart, at an agent.
    private func receive(_ restart: RestartPeer, _ promise: EventLoopPromise<RestartPeerReply>) {
        do throws(PeerChannelError) {
            try PeerOffer.verify(restart, key: self.configuration.e2eKey)
            guard case .agent = self.role else { throw .unknownToPeer }
            let peer = try PathDescription(
                generation: restart.generation, ice: restart.ice, candidates: restart.candidates,
                bridges: restart.bridge)
            let request = self.restarts.add(restart, promise)
            self.paths.tell { $0.receive(.restart(peer, request: request), at: $1) }
        } catch {
            promise.fail(error)
        }
    }

    private func answerRestart(_ description: PathDescription, _ request: UInt64) {
        guard let (restart, promise) = self.restarts.take(request) else { return }
        var answer = RestartPeerReply(
            peerID: self.peerID, generation: description.generation, ice: description.ice,
            candidates: description.wireCandidates)
        answer.bridge = description.bridges
        if let key = self.configuration.e2eKey {
            answer.e2eMAC = PeerOffer.mac(of: answer, restartMAC: restart.e2eMAC, key: key)
        }
        promise.succeed(answer)
    }
}

/// At an agent: the client's restarts that have not been answered, and where the answers go.
struct RestartRequests {
    private var waiting: [UInt64: (restart: RestartPeer, promise: EventLoopPromise<RestartPeerReply>)] = [:]
    private var next: UInt64 = 0

    /// Returns the number of the request.
    mutating func add(_ restart: RestartPeer, _ promise: EventLoopPromise<RestartPeerReply>) -> UInt64 {
        self.next += 1
        self.waiting[self.next] = (restart, promise)
        return self.next
    }

    mutating func take(_ number: UInt64) -> (restart: RestartPeer, promise: EventLoopPromise<RestartPeerReply>)? {
        self.waiting.removeValue(forKey: number)
    }

    mutating func failAll(_ error: PeerChannelError) {
        for (_, promise) in self.waiting.values { promise.fail(error) }
        self.waiting = [:]
    }
}
