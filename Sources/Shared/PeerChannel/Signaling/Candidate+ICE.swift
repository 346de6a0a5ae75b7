import AppProto
import ICE

extension Candidate {
    /// The wire form of one of our candidates.
    init(_ candidate: ICECandidate) {
        let type: CandidateType =
            switch candidate.kind {
            case .host: .host
            case .serverReflexive: .serverReflexive
            case .peerReflexive: .peerReflexive
            case .relayed: .relayed
            }
        self.init(
            type: type, foundation: candidate.foundation, priority: candidate.priority, address: candidate.address,
            relatedAddress: candidate.relatedAddress)
    }
}

extension ICECandidate {
    /// A candidate of the peer; nil for a type that this version does not know.
    init?(_ candidate: Candidate) {
        let kind: Kind
        switch candidate.type {
        case .host: kind = .host
        case .serverReflexive: kind = .serverReflexive
        case .peerReflexive: kind = .peerReflexive
        case .relayed: kind = .relayed
        case .unspecified: return nil
        }
        self.init(
            kind: kind, foundation: candidate.foundation, priority: candidate.priority, address: candidate.address,
            relatedAddress: candidate.relatedAddress)
    }
}
