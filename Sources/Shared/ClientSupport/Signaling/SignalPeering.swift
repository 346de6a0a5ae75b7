import AppProto
import NIOCore
import PeerChannel
import Signaling

/// Peer signalling over the control connection.
struct SignalPeering: PeerSignaling {
    let client: SignalClient

    /// The server gives the agent its time, and then answers itself; this is for a server that doesn't.
    private static let timeout = TimeAmount.seconds(15)

    func openPeer(_ offer: OpenPeer) -> EventLoopFuture<OpenPeerReply> {
        self.client.request(.openPeer(offer), timeout: Self.timeout).flatMapThrowing { answer in
            guard case .openPeerReply(let reply) = answer else { throw SignalError.unexpectedAnswer }
            return reply
        }
    }

    func sendCandidate(_ candidate: PeerCandidate) {
        self.client.sendEvent(.peerCandidate(candidate))
    }

    func sendClose(_ close: ClosePeer) {
        self.client.sendEvent(.closePeer(close))
    }
}
