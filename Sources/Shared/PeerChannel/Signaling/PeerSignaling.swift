package import AppProto
package import NIOCore

/// How a peer channel talks to the other side when there is no path: implemented over the control connection.
///
/// Called on the peer channel's event loop; the control connection may live on another one. What arrives from the other
/// side is handed to the channel's `receive` as a ``PeerMessage``, on the channel's event loop.
package protocol PeerSignaling: Sendable {
    /// Sends one of our candidates or the end of them, that a restart is wanted, or that the channel is over. Lost without harm
    /// when the control connection is down.
    func sendEvent(_ event: Envelope.Body)
    /// Sends datagrams by way of the server, unreliably.
    func sendBridge(_ bridge: Bridge)
}

/// The same for a client, which asks agents for channels.
package protocol ClientPeerSignaling: PeerSignaling {
    /// Sends an offer to an agent and brings back its answer.
    func openPeer(_ offer: OpenPeer) -> EventLoopFuture<OpenPeerReply>
    /// Asks an agent for a new ICE session, or for the channel's route through the server.
    func restartPeer(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply>
}
