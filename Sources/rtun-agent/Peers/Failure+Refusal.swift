import AppProto
import PeerChannel

extension Failure {
    /// What to answer to a client whose offer the peer channel would not take, or that came to nothing.
    init(refusing error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let refusal as PeerRefusal: self = refusal.failure
        case PeerChannelError.badOffer(let detail): self.init(code: .badRequest, reason: detail)
        case PeerChannelError.endToEndProof(let detail): self.init(code: .refused, reason: detail)
        case PeerChannelError.unknownToPeer: self.init(code: .peerUnknown, reason: "\(error)")
        case PeerChannelError.noBridge(let reason): self.init(code: .refused, reason: reason)
        default: self.init(code: .internal, reason: "\(error)")
        }
    }
}
