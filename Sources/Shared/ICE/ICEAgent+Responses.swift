import NIOCore
import STUN

/// Answers to our own checks (RFC 8445 §7.2.5).
extension ICEAgent {
    mutating func receiveResponse(
        _ received: ReceivedSTUNMessage, on key: CandidatePair.Key, at now: NIODeadline
    ) {
        let message = received.message
        guard let position = self.transactions.firstIndex(where: { $0.id == message.id }) else {
            self.counters.unexpected += 1
            return
        }
        let transaction = self.transactions[position]
        let index = transaction.pair
        let isSymmetric = self.checkList[index].key == key
        guard received.isAuthentic(key: self.remoteKey) else {
            self.counters.unauthenticated += 1
            // The peer can't prove a 400 or 401, so it may be anybody's: go on asking, but let people know.
            if !received.hasIntegrity, isSymmetric, let error = message.errorCode {
                self.checkList[index].unprovenAnswer = error
            }
            return
        }

        self.transactions.remove(at: position)
        guard isSymmetric else {
            // RFC 8445 §7.2.5.2.1: data would not get there. Of a liveness check: no sign of life from there.
            if !transaction.purpose.isAboutValidPair {
                self.failPair(index, .answeredFromElsewhere, at: now)
            }
            return
        }
        if case .roleConflict? = message.errorCode, message.messageClass == .failure {
            self.yieldRole(for: transaction, at: now)
            return
        }
        switch self.judge(message) {
        case .success(let mapped):
            if transaction.purpose == .probe { self.probeAnswered(transaction, by: message, at: now) }
            self.succeed(transaction, mapped: mapped, at: now)
        case .failure(let outcome):
            if !transaction.purpose.isAboutValidPair {
                self.failPair(index, outcome.reason, at: now)
            }
        }
    }

    private struct Refusal: Error {
        let reason: ICEReport.Outcome
    }

    /// The mapped address, or how the check ends instead.
    private func judge(_ response: STUNMessage) -> Result<TransportAddress, Refusal> {
        guard response.unknownRequiredAttributes.isEmpty else {
            return .failure(Refusal(reason: .badAnswer))  // RFC 8489 §6.3.3
        }
        if response.messageClass == .success, let mapped = response.mappedAddress {
            return .success(mapped)
        }
        if response.messageClass == .failure, let error = response.errorCode {
            return .failure(Refusal(reason: .answered(error)))
        }
        return .failure(Refusal(reason: .badAnswer))
    }

    /// The peer insists on the role that we claimed (RFC 8445 §7.2.5.1): take the other, and check again.
    private mutating func yieldRole(for transaction: CheckTransaction, at now: NIODeadline) {
        // Not when that has happened since the request was sent.
        if transaction.role == self.role {
            self.switchRole(at: now)
            self.tieBreaker = self.random.next()
        }
        let pair = self.checkList[transaction.pair]
        if transaction.purpose == .check, pair.state == .inProgress || pair.state == .waiting {
            if pair.requestsSent < self.configuration.requestsPerPair {
                self.checkList.trigger(transaction.pair)
            } else {
                self.failPair(transaction.pair, .answered(.roleConflict), at: now)
            }
        }
    }

    private mutating func succeed(_ transaction: CheckTransaction, mapped: TransportAddress, at now: NIODeadline) {
        let index = transaction.pair
        if transaction.purpose == .check {
            self.becomeValid(index, mapped: mapped, at: now)
        }
        guard self.checkList[index].state == .succeeded else {
            return  // Lost in the meantime.
        }
        self.checkList[index].confirmedAt = now
        // Karn: after a retransmission nobody knows which request was answered.
        if transaction.requests == 1 {
            let time = now - transaction.sentAt
            self.checkList[index].roundTripTime = time
            if case .connected(index, _) = self.phase {
                self.emit(.rttSample(self.checkList[index].snapshot, time))
            }
        }

        switch self.phase {
        case .checking:
            self.phase = .connected(
                active: index, .awaited(decideAt: now + self.configuration.nominationDelay))
            self.scheduleLivenessCheck(of: index, at: now)
            self.emit(.pairUsable(self.checkList[index].snapshot))
        case .connected(_, .requested(index)) where transaction.purpose == .nomination:
            self.select(index, at: now)
        case .waitingForPeer, .connected, .failed:
            break
        }
        self.acceptNomination(of: index, at: now)
    }

    /// RFC 8445 §7.2.5.3
    private mutating func becomeValid(_ index: Int, mapped: TransportAddress, at now: NIODeadline) {
        guard self.checkList[index].state != .succeeded, !self.checkList[index].isBarred else {
            return
        }
        // A check begun later may still be under way; its answer would tell nothing new.
        self.cancelCurrentCheck(of: index, at: now)
        self.checkList[index].state = .succeeded
        self.checkList[index].currentCheck = nil
        self.checkList[index].mappedLocal = self.localCandidate(mapped, of: self.checkList[index])
        self.scheduleLivenessCheck(of: index, at: now)
        self.checkList.thaw(self.checkList[index].foundation)
        if self.isNominated {
            self.trimStandbyPairs()
        }
    }

    /// The local candidate that the peer sees; a peer-reflexive one if it is none that we knew (RFC 8445 §7.2.5.3.1).
    private mutating func localCandidate(_ mapped: TransportAddress, of pair: CandidatePair) -> ICECandidate {
        let known = self.localCandidates.first {
            $0.base == pair.key.base && TransportAddress($0.address) == mapped
        }
        if let known {
            return known
        }
        guard let address = mapped.socketAddress else {
            return pair.local
        }
        let candidate = ICECandidate(
            kind: .peerReflexive, foundation: "local\(self.localCandidates.count)",
            priority: ICEPriority.peerReflexive(from: pair.local.priority), address: address,
            relatedAddress: pair.local.address, base: pair.key.base)
        if self.localCandidates.count < self.configuration.maximumLocalCandidates {
            self.localCandidates.append(candidate)
        }
        return candidate
    }
}
