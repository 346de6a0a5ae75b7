package import Basics
package import FlowLedger
package import NIOCore

/// Reaches targets through an agent. Belongs to one event loop.
package protocol TargetConnector: AnyObject {
    /// Connects to `target` for `origin`. `completion` is called at most once: not before this returns, and not after
    /// `cancel`.
    func connect(
        to target: Target, for origin: FlowOrigin, completion: @escaping (TargetResult) -> Void
    ) -> RequestID
    /// The client is gone; nobody waits for the completion any more.
    func cancel(_ id: RequestID)
    /// Begins a UDP association for `origin`, which tells `delegate` how it fares, not before this returns; nil where there
    /// are none.
    func associate(for origin: FlowOrigin, delegate: any PooledAssociationDelegate) -> PooledAssociation?
}

extension TargetConnector {
    package func associate(
        for origin: FlowOrigin, delegate: any PooledAssociationDelegate
    ) -> PooledAssociation? { nil }
}

/// What became of a connection request.
package enum TargetResult {
    case connected(TargetConnection)
    case failed(ConnectFailure)
}

/// A connection to a target, not yet glued to the client's. One of its functions is called, once.
package struct TargetConnection {
    /// The address that the target sees.
    package var boundAddress: SocketAddress?
    /// Makes the last handler of the client's pipeline, which owns the connection from then on.
    package var makeHandler: () -> any ChannelHandler
    /// Gives a door the connection that speaks with the target itself, and owns it from then on.
    package var makeStream: () -> TargetStream
    /// Gives the connection up instead.
    package var abandon: () -> Void

    package init(
        boundAddress: SocketAddress?, makeHandler: @escaping () -> any ChannelHandler,
        makeStream: @escaping () -> TargetStream, abandon: @escaping () -> Void
    ) {
        self.boundAddress = boundAddress
        self.makeHandler = makeHandler
        self.makeStream = makeStream
        self.abandon = abandon
    }
}

/// Why there is no connection to a target.
package struct ConnectFailure: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The target answered with a reset.
        case refused
        case hostUnreachable
        case networkUnreachable
        case nameNotFound
        case timedOut
        /// The agent's rules forbid the target.
        case policy
        /// The agent has no place for another connection.
        case limit
        /// The client's login has its share of the agent's places.
        case share
        /// No agent could be reached in time.
        case noAgent
        /// Anything else.
        case failed
    }

    package var kind: Kind
    /// For people.
    package var reason: String

    package init(_ kind: Kind, reason: String) {
        self.kind = kind
        self.reason = reason
    }
}
