import Admin
import AppProto
import FlowLedger
import NIOCore
import PeerChannel
import PeerSupport

/// One client's peer channel at the agent, of either kind. Belongs to the channel's event loop.
protocol AcceptedPeer: AnyObject {
    /// What the control connection brings goes here, and whoever wants the end of it asks this.
    var peerChannel: any AnyPeerChannel { get }
    /// Starts to look for a path; brings the answer for the client, or fails with the `Failure` to answer with.
    func start() -> EventLoopFuture<OpenPeerReply>
    /// The client's own rules are others from now on: ends what they do not permit any more.
    func rulesChanged()
    /// Writes a line about what has passed through, where there is something to say.
    func report()
    /// What it is like now.
    func status(_ clock: StatusClock) -> AgentStatus.Peer
    /// The open flows that no ledger keeps; at most `limit`.
    func openFlows(limit: Int) -> [FlowRecord]
    /// What those have carried.
    var unledgeredTraffic: FlowTraffic { get }
    /// What has passed since the start.
    var traffic: FlowTraffic { get }
    /// Datagrams that were dropped.
    var drops: [DropReason: UInt64] { get }
}
