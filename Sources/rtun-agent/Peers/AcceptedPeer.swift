import AppProto
import NIOCore
import PeerChannel

/// One client's peer channel at the agent, of either kind. Belongs to the channel's event loop.
protocol AcceptedPeer: AnyObject {
    /// What the control connection brings goes here, and whoever wants the end of it asks this.
    var peerChannel: any AnyPeerChannel { get }
    /// Starts to look for a path; brings the answer for the client, or fails with the `Failure` to answer with.
    func start() -> EventLoopFuture<OpenPeerReply>
    /// Writes a line about what has passed through, where there is something to say.
    func report()
}
