/// How a candidate was found (RFC 8445 §4).
package enum CandidateType: UInt32, Hashable, Sendable {
    /// A type that this version does not know.
    case unspecified = 0
    case host = 1
    case serverReflexive = 2
    case peerReflexive = 3
    case relayed = 4
}
