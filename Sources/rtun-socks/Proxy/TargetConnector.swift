import NIOCore
import SOCKS

/// Reaches targets through an agent. Belongs to one event loop.
protocol TargetConnector: AnyObject {
    /// Connects to `target`. `completion` is called at most once: not before this returns, and not after `cancel`.
    func connect(to target: SOCKSTarget, completion: @escaping (TargetResult) -> Void) -> RequestID
    /// The client is gone; nobody waits for the completion any more.
    func cancel(_ id: RequestID)
}

/// What became of a connection request.
enum TargetResult {
    case connected(TargetConnection)
    /// `reason` is for the log.
    case failed(SOCKSOutcome, reason: String)
}

/// A connection to a target, not yet glued to the client's.
struct TargetConnection {
    /// The address that the target sees.
    var boundAddress: SocketAddress?
    /// Makes the last handler of the client's pipeline, which owns the connection from then on.
    var makeHandler: () -> any ChannelHandler
    /// Gives the connection up instead.
    var abandon: () -> Void
}
