import CAppProto

/// A trickled candidate of one side of a peer channel (RFC 8838), or the end of them.
package struct PeerCandidate: Hashable, Sendable {
    package var peerID: PeerID
    /// `nil` with `endOfCandidates`.
    package var candidate: Candidate?
    package var endOfCandidates: Bool
    package var unknownFields = UnknownFields()

    /// One more candidate.
    package init(peerID: PeerID, candidate: Candidate) {
        self.peerID = peerID
        self.candidate = candidate
        self.endOfCandidates = false
    }

    /// No more candidates will come.
    package init(endOfCandidatesOf peerID: PeerID) {
        self.peerID = peerID
        self.candidate = nil
        self.endOfCandidates = true
    }
}

extension PeerCandidate: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__PeerCandidate>) {
        rtun__peer_candidate__init(pointer)
    }

    init(_ message: Rtun__PeerCandidate) throws(AppProtoError) {
        self.peerID = try readPeerID(message.peer_id)
        self.candidate = message.candidate == nil ? nil : try readMessage(message.candidate, "candidate")
        self.endOfCandidates = message.end_of_candidates != 0
        guard self.candidate != nil || self.endOfCandidates else {
            throw .invalidField("candidate", expected: "a candidate or end_of_candidates")
        }
        self.unknownFields = UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__PeerCandidate, _ arena: Arena) {
        message.peer_id = arena.bytes(self.peerID.bytes)
        message.candidate = arena.optional(self.candidate)
        message.end_of_candidates = self.endOfCandidates ? 1 : 0
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
