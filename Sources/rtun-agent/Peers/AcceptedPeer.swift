import AppProto
import NIOCore

/// One client's peer channel at the agent, of either kind. Belongs to the channel's event loop.
protocol AcceptedPeer: AnyObject {
    /// Starts to look for a path; brings the answer for the client, or fails with the `Failure` to answer with.
    func start() -> EventLoopFuture<OpenPeerReply>
    /// A candidate of the client arrived.
    func receive(_ candidate: PeerCandidate)
    /// The client ended the channel.
    func receive(_ close: ClosePeer)
    /// Datagrams of the client arrived by way of the server.
    func receive(_ bridge: Bridge)
    /// The client wants a new ICE session, or its route; brings the answer, or fails with the `Failure` to answer with.
    func receive(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply>
    /// The control connection has come up or was lost; whether its server carries datagrams between peers.
    func signalChanged(isUp: Bool, bridges: Bool)
    /// Ends the channel and tells the client.
    func close(reason: String)
    /// Writes a line about what has passed through, where there is something to say.
    func report()
}
