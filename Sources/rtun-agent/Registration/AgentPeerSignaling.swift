import AppProto
import NIOCore
import PeerChannel
import Signaling

/// What an agent's peer channels say to their clients by way of the server.
struct AgentPeerSignaling: PeerSignaling {
    let client: SignalClient

    /// Only clients make offers.
    func openPeer(_ offer: OpenPeer) -> EventLoopFuture<OpenPeerReply> {
        self.client.eventLoop.makeFailedFuture(Failure(code: .unsupported, reason: "agents make no offers"))
    }

    /// Only clients ask for restarts.
    func restartPeer(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply> {
        self.client.eventLoop.makeFailedFuture(Failure(code: .unsupported, reason: "agents restart nothing"))
    }

    func sendRestartWanted(_ wanted: RestartWanted) {
        self.client.sendEvent(.restartWanted(wanted))
    }

    func sendBridge(_ bridge: Bridge) {
        self.client.sendBridge(bridge)
    }

    func sendCandidate(_ candidate: PeerCandidate) {
        self.client.sendEvent(.peerCandidate(candidate))
    }

    func sendClose(_ close: ClosePeer) {
        self.client.sendEvent(.closePeer(close))
    }
}
