/// How the dialing of a target went.
package enum OpenCode: UInt32, Hashable, Sendable {
    case ok = 0
    /// The target answered with a reset.
    case refused = 1
    case hostUnreachable = 2
    case networkUnreachable = 3
    case nameNotFound = 4
    case timedOut = 5
    /// The agent's egress policy forbids the target.
    case policy = 6
    /// The agent is at its limit of streams.
    case limit = 7
    case badRequest = 8
    /// Anything else, and codes that this version does not know; see `reason`.
    case failed = 9
}
