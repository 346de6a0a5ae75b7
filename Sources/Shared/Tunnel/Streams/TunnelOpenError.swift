package import AppProto
package import NIOCore

/// Why `open` brought no connection.
package enum TunnelOpenError: Error, Hashable, Sendable {
    /// The agent answered that it cannot or will not connect to the target. Never `.ok`.
    case refused(OpenCode, reason: String)
    /// The agent did not answer in time.
    case timedOut(after: TimeAmount)
    /// The agent allowed no further stream in time.
    case streamLimitReached
    /// The tunnel is not up yet, or is over.
    case notConnected
    /// The agent broke the protocol or abandoned the stream; says how.
    case brokenStream(String)
    /// The agent takes no datagrams: it is of a version that knows no UDP associations.
    case noDatagrams
    /// The target cannot be put into a message: the host is empty or longer than 255 bytes, or the port is 0.
    case invalidTarget
}

extension TunnelOpenError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .refused(let code, let reason): "the agent cannot connect: \(reason.isEmpty ? "\(code)" : reason)"
        case .timedOut(let timeout): "no answer from the agent within \(timeout.nanoseconds / 1_000_000) ms"
        case .streamLimitReached: "the agent has allowed no further connection in time"
        case .notConnected: "the tunnel to the agent is not connected"
        case .brokenStream(let detail): "the agent broke off: \(detail)"
        case .noDatagrams: "the agent's version carries no UDP: update it"
        case .invalidTarget: "the target needs a host of 1 to 255 bytes and a port of 1 to 65535"
        }
    }
}
