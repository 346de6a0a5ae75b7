package import AppProto
package import NIOCore

/// How a peer channel talks to the other side before there is a path: implemented over the control connection.
///
/// Called on the peer channel's event loop; the control connection may live on another one. What arrives from the other
/// side is handed to the channel's `receive` methods on the channel's event loop.
package protocol PeerSignaling: Sendable {
    /// Sends an offer to an agent and brings back its answer. Only client channels call it.
    func openPeer(_ offer: OpenPeer) -> EventLoopFuture<OpenPeerReply>
    /// Asks an agent for a new ICE session, or for the channel's route through the server. Only client channels call it.
    func restartPeer(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply>
    /// Asks the client for a restart. Only agents' channels call it. Lost without harm.
    func sendRestartWanted(_ wanted: RestartWanted)
    /// Sends datagrams by way of the server, unreliably.
    func sendBridge(_ bridge: Bridge)
    /// Sends one of our candidates, or the end of them. Lost without harm when the control connection is down.
    func sendCandidate(_ candidate: PeerCandidate)
    /// Tells the other side that the channel is over. Lost without harm when the control connection is down.
    func sendClose(_ close: ClosePeer)
}
