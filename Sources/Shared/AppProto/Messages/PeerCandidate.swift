package import Basics
import CAppProto

/// A trickled candidate of one side of a peer channel (RFC 8838), or the end of them.
package struct PeerCandidate: Hashable, Sendable {
    package var peerID: PeerID
    /// `nil` with `endOfCandidates`.
    package var candidate: Candidate?
    package var endOfCandidates: Bool
    /// Of the ICE session: 0 for that of the offer, then as in `RestartPeer`.
    package var generation: UInt32 = 0
    /// The sender's, with `endOfCandidates`.
    package var mapping = MappingBehavior.unknown
    /// With `endOfCandidates`: how many sockets or probes the sender would spend on a birthday spread; 0 for none.
    package var spread: UInt32 = 0
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
        self.generation = message.generation
        self.mapping = MappingBehavior(message.mapping)
        self.spread = message.spread
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__PeerCandidate, _ arena: Arena) {
        message.peer_id = arena.bytes(self.peerID.bytes)
        message.candidate = arena.optional(self.candidate)
        message.end_of_candidates = self.endOfCandidates ? 1 : 0
        message.generation = self.generation
        message.mapping = self.mapping.wireValue
        message.spread = self.spread
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
