package import AppProto
import Basics
import ICE
package import NIOCore
import PeerPath

/// What the control connection brings for a peer channel.
package enum PeerMessage: Sendable {
    /// An address of the peer, or the end of them.
    case candidate(PeerCandidate)
    /// The other side has ended the channel.
    case close(ClosePeer)
    /// Datagrams came by way of the server.
    case bridge(Bridge)
    /// The agent asks its client for a new ICE session.
    case restartWanted(RestartWanted)
    /// The client asks its agent for a new ICE session, or for its route through the server. The promise, which may be one of
    /// another event loop, gets the answer to send to it, or a `PeerChannelError`.
    case restart(RestartPeer, EventLoopPromise<RestartPeerReply>)

    /// An event of the control connection; nil for those that are for no channel.
    package init?(event: Envelope.Body) {
        switch event {
        case .peerCandidate(let candidate): self = .candidate(candidate)
        case .closePeer(let close): self = .close(close)
        case .bridge(let bridge): self = .bridge(bridge)
        case .restartWanted(let wanted): self = .restartWanted(wanted)
        default: return nil
        }
    }

    /// The channel that it is for.
    package var peerID: PeerID {
        switch self {
        case .candidate(let candidate): candidate.peerID
        case .close(let close): close.peerID
        case .bridge(let bridge): bridge.peerID
        case .restartWanted(let wanted): wanted.peerID
        case .restart(let restart, _): restart.peerID
        }
    }
}

extension PathDescription {
    /// What a peer has sent. Throws `.badOffer`.
    init(
        generation: UInt32, ice: IceParameters, candidates: [Candidate], bridges: Bool
    ) throws(PeerChannelError) {
        let credentials: ICECredentials
        do {
            credentials = try ICECredentials(ufrag: ice.ufrag, pwd: ice.pwd)
        } catch {
            throw .badOffer("\(error)")
        }
        self.init(
            generation: generation, credentials: credentials, candidates: candidates.compactMap { ICECandidate($0) },
            bridges: bridges)
    }

    /// The wire form of the credentials.
    var ice: IceParameters { IceParameters(ufrag: self.credentials.ufrag, pwd: self.credentials.pwd) }
    /// The wire form of the candidates: as many as one message takes.
    var wireCandidates: [Candidate] { self.candidates.prefix(AppProtoLimits.candidates).map { Candidate($0) } }
}
