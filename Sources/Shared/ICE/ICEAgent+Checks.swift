package import NIOCore
import STUN

/// Our own checks: begun in order and at the right pace, repeated, given up (RFC 8445 §6.1.4 and §14).
extension ICEAgent {
    /// When to call `handleTimeout(at:)`; nil when only input can change anything.
    package var nextDeadline: NIODeadline? {
        var earliest: NIODeadline?
        func consider(_ deadline: NIODeadline) {
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        switch self.phase {
        case .failed: return nil
        case .waitingForPeer: break
        case .checking: self.giveUpAt.map(consider)
        case .connected(_, .awaited(let decideAt)) where self.role == .controlling: consider(decideAt)
        case .connected: break
        }
        if self.remoteCredentials != nil, self.checkList.next(onlyTriggered: self.isNominated) != nil {
            consider(self.nextCheckAt)
        }
        for transaction in self.transactions {
            consider(transaction.deadline)
        }
        for index in self.checkList.pairs.indices {
            if let deadline = self.livenessDeadline(of: index) {
                consider(deadline)
            }
        }
        return earliest
    }

    /// Begins one check if it is time (RFC 8445 §6.1.4.2).
    mutating func beginNextCheck(at now: NIODeadline) {
        guard self.remoteCredentials != nil, self.phase != .failed, now >= self.nextCheckAt,
            let index = self.checkList.next(onlyTriggered: self.isNominated)
        else {
            return
        }
        // RFC 8445 §14.3: RTO = MAX (500ms, Ta * N * (Num-Waiting + Num-In-Progress)), N = 1 checklist.
        let pending = Int64(max(self.checkList.activeCount, 1))
        let wait = max(self.configuration.minimumRTO, self.configuration.pacing * pending)
        let id = self.sendRequest(on: index, for: .check, wait: wait, at: now)
        self.checkList.begin(index, transaction: id)
        self.checksBegun += 1
        let isQuick = self.checksBegun < self.configuration.quickChecks
        self.nextCheckAt = now + (isQuick ? self.configuration.quickPacing : self.configuration.pacing)
    }

    /// Sends a new Binding request (RFC 8445 §7.2.2) and remembers it.
    @discardableResult
    mutating func sendRequest(
        on index: Int, for purpose: CheckTransaction.Purpose, wait: TimeAmount, size: Int? = nil, at now: NIODeadline
    ) -> TransactionID {
        let pair = self.checkList[index]
        let id = TransactionID.random(using: &self.random)
        let username = "\(self.remoteCredentials?.ufrag ?? ""):\(self.localCredentials.ufrag)"
        var attributes: [STUNAttribute] = [
            .username(username),
            .priority(ICEPriority.peerReflexive(from: pair.local.priority)),
            self.role == .controlling ? .iceControlling(self.tieBreaker) : .iceControlled(self.tieBreaker),
        ]
        if purpose == .nomination {
            attributes.append(.useCandidate)
        }
        let request = STUNMessage(.request, id: id, attributes: attributes)
            .encoded(integrityKey: self.remoteKey, paddedTo: size)
        self.transactions.append(
            CheckTransaction(
                id: id, pair: index, purpose: purpose, role: self.role, request: request, sentAt: now, wait: wait,
                deadline: now + wait))
        if !purpose.isAboutValidPair {
            self.checkList[index].requestsSent += 1
        }
        self.transmit(
            request, on: pair.key.base, to: pair.remote.address, isToStranger: pair.state != .succeeded)
        return id
    }

    /// Retransmits or ends what is due.
    mutating func expireTransactions(at now: NIODeadline) {
        // Ending one may end or begin others: look each up anew.
        for id in self.transactions.filter({ now >= $0.deadline }).map(\.id) {
            guard let position = self.transactions.firstIndex(where: { $0.id == id }) else {
                continue
            }
            let transaction = self.transactions[position]
            let pair = self.checkList[transaction.pair]
            guard
                transaction.isCancelled || transaction.purpose.isAboutValidPair
                    || transaction.requests >= self.configuration.requestsPerCheck
                    || pair.requestsSent >= self.configuration.requestsPerPair
            else {
                self.retransmit(position, at: now)
                continue
            }
            self.transactions.remove(at: position)
            self.timedOut(transaction, at: now)
        }
    }

    private mutating func retransmit(_ position: Int, at now: NIODeadline) {
        var transaction = self.transactions[position]
        transaction.requests += 1
        transaction.sentAt = now
        let longest = max(transaction.wait, self.configuration.maximumRTO)
        transaction.wait = min(transaction.wait * 2, longest)
        transaction.deadline = now + transaction.wait
        self.transactions[position] = transaction
        self.checkList[transaction.pair].requestsSent += 1
        let pair = self.checkList[transaction.pair]
        self.transmit(
            transaction.request, on: pair.key.base, to: pair.remote.address, isToStranger: pair.state != .succeeded)
    }

    private mutating func timedOut(_ transaction: CheckTransaction, at now: NIODeadline) {
        let pair = self.checkList[transaction.pair]
        switch transaction.purpose {
        case .liveness, .probe:
            break
        case .check where pair.currentCheck == transaction.id && pair.state == .inProgress:
            self.failPair(transaction.pair, .noAnswer(requests: pair.requestsSent), at: now)
        case .nomination where !transaction.isCancelled:
            self.failPair(transaction.pair, .noAnswer(requests: pair.requestsSent), at: now)
        case .check, .nomination:
            break
        }
    }

    /// Stops retransmitting; an answer that is still under way counts.
    mutating func cancelCurrentCheck(of index: Int, at now: NIODeadline) {
        guard let id = self.checkList[index].currentCheck,
            let position = self.transactions.firstIndex(where: { $0.id == id })
        else {
            return
        }
        self.transactions[position].isCancelled = true
        self.transactions[position].deadline = now + self.configuration.maximumRTO
    }

    /// The socket could not send to a pair's remote address: for good, as with "network is unreachable". A full send
    /// buffer is not meant; that is loss.
    ///
    /// Ends a check in progress with that reason. A pair that has worked is left to its consent: the trouble may pass.
    package mutating func sendFailed(
        on base: LocalBaseID, to destination: SocketAddress, error: any Error, at now: NIODeadline
    ) {
        guard let remote = TransportAddress(destination),
            let index = self.checkList.index(of: CandidatePair.Key(base: base, remote: remote)),
            self.checkList[index].state == .inProgress
        else {
            return
        }
        self.failPair(index, .sendFailed("\(error)"), at: now)
        self.advance(at: now)
    }

    /// Ends a pair. If it was in use, another takes over or the session has failed.
    mutating func failPair(_ index: Int, _ outcome: ICEReport.Outcome, at now: NIODeadline) {
        let wasAvailable = self.checkList[index].isAvailable
        self.checkList[index].state = .failed(outcome)
        self.checkList[index].nextLivenessCheck = nil
        self.checkList[index].isNominatedByPeer = false
        self.transactions.removeAll { $0.pair == index }
        if wasAvailable {
            self.replace(index, at: now)
        }
    }
}
