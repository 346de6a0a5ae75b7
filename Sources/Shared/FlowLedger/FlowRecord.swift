package import NIOCore

/// By whom a connection or flow was asked for, and how.
package struct FlowOrigin: Hashable, Sendable {
    /// What a flow is to the one who asks for it. The raw values stand in the access log and label metrics.
    package enum Kind: String, CaseIterable, Sendable {
        case socks4
        case socks5
        case http
        /// A TCP connection by a rule, or at the agent.
        case tcp
        /// Datagrams: a flow of a relay, or an association of SOCKS 5.
        case udp
    }

    package let kind: Kind
    /// The address of who asks, or what stands for it: at an agent, the id of the peer.
    package let client: String
    /// The login that the client has proved; nil for none.
    package let login: String?

    package init(_ kind: Kind, client: String, login: String? = nil) {
        self.kind = kind
        self.client = client
        self.login = login
    }
}

/// What has passed a flow so far, in bytes of payload.
package struct FlowTraffic: Hashable, Sendable {
    /// From the client towards the target.
    package var sent: UInt64
    /// From the target towards the client.
    package var received: UInt64

    @inlinable
    package init(sent: UInt64 = 0, received: UInt64 = 0) {
        self.sent = sent
        self.received = received
    }

    @inlinable
    package static func += (total: inout FlowTraffic, part: FlowTraffic) {
        total.sent &+= part.sent
        total.received &+= part.received
    }
}

/// All that is known of one connection or flow, at one moment or after its end.
package struct FlowRecord: Sendable {
    package let origin: FlowOrigin
    /// As it was asked for: `host:port`.
    package let target: String
    /// The target's address, where it is known; at clients, the address of ours that it sees.
    package var resolved: String?
    /// The name of the agent through which it goes; nil at agents, and until there is one.
    package var agent: String?
    /// Over which path its channel goes now, or went last: `direct`, `bridge` and the like.
    package var path: String?
    package var traffic = FlowTraffic()
    package let openedAt: NIODeadline
    /// Nil while it has no connection to the target.
    package var connectedAt: NIODeadline?

    package init(_ origin: FlowOrigin, target: String, openedAt: NIODeadline) {
        self.origin = origin
        self.target = target
        self.openedAt = openedAt
    }
}

/// How a flow ended. The raw values stand in the access log and label metrics.
package enum FlowOutcome: String, CaseIterable, Sendable {
    /// Both sides had said all.
    case closed
    /// Either side broke it off.
    case reset
    /// Nothing passed for too long.
    case idle
    /// It made room for another one.
    case evicted
    /// The client went before there was a connection.
    case cancelled
    /// The target refused.
    case refused
    case unreachable
    case nameNotFound = "name_not_found"
    case timedOut = "timed_out"
    /// The agent's rules forbid the target.
    case policy
    /// A limit was reached.
    case limit
    /// There was no agent in time.
    case noAgent = "no_agent"
    /// Anything else.
    case failed
}
