import NIOCore
import STUN

/// The peer's checks: proved, answered, learned from (RFC 8445 §7.3).
extension ICEAgent {
    mutating func receiveRequest(
        _ received: ReceivedSTUNMessage, length: Int, on key: CandidatePair.Key, from source: SocketAddress,
        at now: NIODeadline
    ) {
        let message = received.message
        // RFC 8489 §9.1.3. These answers prove nothing and are no longer than what provoked them, or nearly so.
        guard received.hasIntegrity, message.username != nil else {
            self.counters.unauthenticated += 1
            return self.refuse(message, .badRequest, on: key, from: source, proved: false)
        }
        guard self.isProved(received) else {
            self.counters.unauthenticated += 1
            return self.refuse(message, .unauthenticated, on: key, from: source, proved: false)
        }

        // An answer would have the peer believe in a path that we do not use.
        guard self.permitsRemote(source) else {
            self.counters.notPermitted += 1
            return
        }

        guard message.unknownRequiredAttributes.isEmpty else {
            self.counters.malformed += 1
            return self.refuse(message, .unknownAttribute, on: key, from: source, proved: true)
        }
        guard self.resolveRoleConflict(with: message, at: now) else {
            return self.refuse(message, .roleConflict, on: key, from: source, proved: true)
        }
        let answer = STUNMessage(.success, id: message.id, attributes: [.xorMappedAddress(key.remote)])
        // The answer to a padded request is as large as that: it shows that the path carries so much in both directions.
        let size = message.padding == nil ? nil : length
        self.transmit(answer.encoded(integrityKey: self.localKey, paddedTo: size), on: key.base, to: source)

        // A consent check needs no PRIORITY; then there is nothing to learn from it.
        if let priority = message.priority {
            let check = EarlyCheck(
                key: key, source: source, priority: priority, usesCandidate: message.usesCandidate)
            self.learn(check, at: now)
        }
    }

    /// Whether it is addressed to us by somebody who knows our password.
    func isProved(_ request: ReceivedSTUNMessage) -> Bool {
        guard request.hasIntegrity, let username = request.message.username else { return false }
        return self.isOurs(username) && request.isAuthentic(key: self.localKey)
    }

    /// RFC 8445 §7.2.2: the receiver's ufrag, a colon, the sender's. While the sender's is unknown, anything goes.
    private func isOurs(_ username: String) -> Bool {
        guard let remote = self.remoteCredentials else {
            return username.hasPrefix(self.localCredentials.ufrag + ":")
        }
        return username == "\(self.localCredentials.ufrag):\(remote.ufrag)"
    }

    private mutating func refuse(
        _ request: STUNMessage, _ error: STUNErrorCode, on key: CandidatePair.Key, from source: SocketAddress,
        proved: Bool
    ) {
        var attributes: [STUNAttribute] = [.errorCode(error)]
        let unknown = request.unknownRequiredAttributes
        if case .unknownAttribute = error, !unknown.isEmpty {
            attributes.append(.unknownAttributes(unknown))
        }
        let answer = STUNMessage(.failure, id: request.id, attributes: attributes)
        self.transmit(
            answer.encoded(integrityKey: proved ? self.localKey : nil, fingerprint: true), on: key.base, to: source)
    }

    // MARK: Roles

    /// RFC 8445 §7.3.1.1. Returns false when the peer is the one to give way.
    private mutating func resolveRoleConflict(with request: STUNMessage, at now: NIODeadline) -> Bool {
        switch self.role {
        case .controlling:
            guard let theirs = request.iceControlling else {
                return true
            }
            if self.tieBreaker >= theirs {
                return false
            }
            self.switchRole(at: now)
        case .controlled:
            guard let theirs = request.iceControlled else {
                return true
            }
            if self.tieBreaker < theirs {
                return false
            }
            self.switchRole(at: now)
        }
        return true
    }

    mutating func switchRole(at now: NIODeadline) {
        self.role = self.role.opposite
        self.checkList.updatePriorities(role: self.role)
        for index in self.checkList.pairs.indices {
            self.checkList[index].isNominatedByPeer = false
        }
        // A nomination under way was made in a role that we no longer have.
        for index in self.transactions.indices where self.transactions[index].purpose == .nomination {
            self.transactions[index].isCancelled = true
        }
        if case .connected(let active, .requested) = self.phase {
            self.phase = .connected(active: active, .awaited(decideAt: now + self.configuration.nominationDelay))
        }
        self.emit(.roleChanged(self.role))
    }

    // MARK: Learning

    /// RFC 8445 §7.3.1.3 to §7.3.1.5: peer-reflexive candidates, triggered checks, nomination by the peer.
    private mutating func learn(_ check: EarlyCheck, at now: NIODeadline) {
        guard self.remoteCredentials != nil, let index = self.pair(for: check) else {
            self.keepForLater(check)
            return
        }
        self.checkList[index].checksReceived += 1
        if check.usesCandidate, self.role == .controlled {
            self.checkList[index].isNominatedByPeer = true
        }
        switch self.checkList[index].state {
        case .succeeded:
            self.acceptNomination(of: index, at: now)
        case .inProgress:
            // Our request may have died at the peer's NAT, which has just been opened: ask again now.
            if self.mayTrigger(index) {
                self.cancelCurrentCheck(of: index, at: now)
                self.checkList.trigger(index)
            }
        case .frozen, .waiting, .failed:
            if self.mayTrigger(index) {
                self.checkList.trigger(index)
            }
        }
    }

    private func mayTrigger(_ index: Int) -> Bool {
        let pair = self.checkList[index]
        guard !pair.isBarred, pair.requestsSent < self.configuration.requestsPerPair else {
            return false
        }
        // After the nomination only a new nomination is worth a check.
        return !self.isNominated || pair.isNominatedByPeer
    }

    /// The pair that a check of the peer belongs to, made along with a peer-reflexive candidate if need be.
    private mutating func pair(for check: EarlyCheck) -> Int? {
        if let index = self.checkList.index(of: check.key) {
            return index
        }
        let locals = self.localCandidates.filter {
            guard $0.base == check.key.base, let address = TransportAddress($0.address) else {
                return false
            }
            return Self.canPair(address, check.key.remote)
        }
        guard let local = locals.max(by: { $0.priority < $1.priority }),
            let remote = self.remoteCandidate(for: check)
        else {
            return nil
        }
        return self.formPair(local, remote)
    }

    private mutating func remoteCandidate(for check: EarlyCheck) -> ICECandidate? {
        if let known = self.remoteCandidates.first(where: { TransportAddress($0.address) == check.key.remote }) {
            return known
        }
        guard self.remoteCandidates.count < self.configuration.maximumRemoteCandidates,
            self.peerReflexiveCount < self.configuration.maximumPeerReflexiveCandidates
        else {
            self.counters.overLimit += 1
            return nil
        }
        self.peerReflexiveCount += 1
        // RFC 8445 §7.3.1.3: the priority that the peer said, a foundation like no other.
        let candidate = ICECandidate(
            kind: .peerReflexive, foundation: "remote\(self.remoteCandidates.count)", priority: check.priority,
            address: check.source)
        self.remoteCandidates.append(candidate)
        return candidate
    }

    private mutating func keepForLater(_ check: EarlyCheck) {
        if let known = self.earlyChecks.firstIndex(where: { $0.key == check.key }) {
            self.earlyChecks[known].usesCandidate = self.earlyChecks[known].usesCandidate || check.usesCandidate
        } else if self.earlyChecks.count < self.configuration.maximumEarlyChecks {
            self.earlyChecks.append(check)
        } else {
            self.counters.overLimit += 1
        }
    }

    /// Now that credentials or a local candidate have come, checks from before may make pairs.
    mutating func learnEarlyChecks(at now: NIODeadline) {
        guard self.remoteCredentials != nil, !self.earlyChecks.isEmpty else {
            return
        }
        let checks = self.earlyChecks
        self.earlyChecks = []
        for check in checks {
            self.learn(check, at: now)
        }
    }
}
