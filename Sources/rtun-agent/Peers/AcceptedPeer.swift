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
    /// Ends the channel and tells the client.
    func close(reason: String)
    /// Writes a line about what has passed through, where there is something to say.
    func report()
}
