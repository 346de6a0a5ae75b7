/// Why a request failed.
package enum FailureCode: UInt32, Hashable, Sendable {
    /// No code given, or one that this version does not know.
    case unspecified = 0
    /// The receiver does not know this body.
    case unsupported = 1
    case badRequest = 2
    /// No agent of that name.
    case notFound = 3
    /// An agent of that name, but another instance.
    case instanceMismatch = 4
    /// It left before it answered.
    case agentGone = 5
    case timedOut = 6
    /// The agent does not want this peer: a limit, or a missing or wrong end-to-end proof.
    case refused = 7
    /// The agent does not speak this kind of peer channel.
    case kindUnsupported = 8
    case `internal` = 9
    /// The agent has no channel of that peer id (any more).
    case peerUnknown = 10
    /// The agent does not list the key of this client.
    case clientUnknown = 11
    /// The client has its share of the agent's peer channels already.
    case share = 12
}
