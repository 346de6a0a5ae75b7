import NIOCore
import STUN

/// A path to be checked: one socket, one remote address (RFC 8445 §6.1.2).
///
/// Reflexive local candidates make no pairs of their own: packets leave from their base (RFC 8445 §6.1.2.4). So a
/// pair is its base and its remote address, and `local` is the best candidate that lives there.
struct CandidatePair: Sendable {
    struct Key: Hashable, Sendable {
        let base: LocalBaseID
        let remote: TransportAddress
    }

    struct Foundation: Hashable, Sendable {
        let local: String
        let remote: String
    }

    /// RFC 8445 §6.1.2.6
    enum State: Hashable, Sendable {
        case frozen
        case waiting
        case inProgress
        /// Valid: it has carried a response to our own check.
        case succeeded
        case failed(ICEReport.Outcome)
    }

    let key: Key
    var local: ICECandidate
    var remote: ICECandidate
    var priority: UInt64
    var state = State.frozen

    /// The transaction of the check in progress.
    var currentCheck: TransactionID?
    /// How the peer sees us, once the pair is valid (RFC 8445 §7.2.5.3.1).
    var mappedLocal: ICECandidate?
    /// The controlling peer wants this pair; it counts once our own check succeeds (RFC 8445 §7.3.1.5).
    var isNominatedByPeer = false
    var roundTripTime: TimeAmount?

    /// When the peer last answered on this valid pair.
    var confirmedAt: NIODeadline?
    /// When to ask again; nil while the pair is not valid, or not worth keeping alive.
    var nextLivenessCheck: NIODeadline?

    /// Of checks, retransmissions included; without liveness checks.
    var requestsSent = 0
    var checksReceived = 0
    var unprovenAnswer: STUNErrorCode?

    init(key: Key, local: ICECandidate, remote: ICECandidate, role: ICERole) {
        self.key = key
        self.local = local
        self.remote = remote
        self.priority = 0
        self.updatePriority(role: role)
    }

    mutating func updatePriority(role: ICERole) {
        switch role {
        case .controlling:
            self.priority = ICEPriority.pair(controlling: self.local.priority, controlled: self.remote.priority)
        case .controlled:
            self.priority = ICEPriority.pair(controlling: self.remote.priority, controlled: self.local.priority)
        }
    }

    var foundation: Foundation {
        Foundation(local: self.local.foundation, remote: self.remote.foundation)
    }

    /// Valid and kept alive: may carry data.
    var isAvailable: Bool {
        self.state == .succeeded && self.nextLivenessCheck != nil
    }

    /// No check has ended or begun on it yet.
    var isUntried: Bool {
        (self.state == .frozen || self.state == .waiting) && self.requestsSent == 0
    }

    /// Consent that was lost can't be had again with the same credentials (RFC 7675 §5.1); and a pair that was rejected
    /// is not to come back with the next check.
    var isBarred: Bool {
        self.state == .failed(.consentLost) || self.state == .failed(.carriesTooLittle)
    }

    var snapshot: ICECandidatePair {
        ICECandidatePair(
            local: self.mappedLocal ?? self.local, remote: self.remote, base: self.key.base,
            id: ICEPairID(key: self.key), priority: self.priority,
            roundTripTime: self.roundTripTime)
    }

    var report: ICEReport.Pair {
        let outcome: ICEReport.Outcome
        switch self.state {
        case .frozen, .waiting, .inProgress:
            outcome = self.requestsSent == 0 ? .notTried : .inProgress(requests: self.requestsSent)
        case .succeeded: outcome = .succeeded(roundTripTime: self.roundTripTime)
        case .failed(let reason): outcome = reason
        }
        return ICEReport.Pair(
            local: self.mappedLocal ?? self.local, remote: self.remote, outcome: outcome,
            unprovenAnswer: self.unprovenAnswer, checksReceived: self.checksReceived)
    }
}
