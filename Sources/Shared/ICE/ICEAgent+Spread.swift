package import NIOCore
import STUN

/// What a spread of sockets or ports needs of the session (see ``SpreadPlan``).
extension ICEAgent {
    /// Does not give up before `deadline`: something besides the checks is under way that may bring a pair.
    package mutating func holdOn(until deadline: NIODeadline) {
        self.patience = max(self.patience, deadline)
    }

    /// A connectivity check that belongs to no pair, to be sent to a guessed port, or from one socket of many. Its answer means
    /// nothing here; when it arrives, the peer checks the way back, and that makes the pair (RFC 8445 §7.3.1.4).
    /// Nil before the peer's credentials are known.
    package mutating func strayCheck() -> ByteBuffer? {
        guard let remote = self.remoteCredentials, self.phase != .failed else { return nil }
        let host = ICEPriority.candidate(.peerReflexive, localPreference: .max)
        let request = STUNMessage(
            .request, id: .random(using: &self.random),
            attributes: [
                .username("\(remote.ufrag):\(self.localCredentials.ufrag)"), .priority(host),
                self.role == .controlling ? .iceControlling(self.tieBreaker) : .iceControlled(self.tieBreaker),
            ])
        return request.encoded(integrityKey: self.remoteKey, fingerprint: true)
    }
}
