import NIOCore
import STUN

/// One Binding request of ours on a pair, and its retransmissions.
struct CheckTransaction: Sendable {
    enum Purpose: Hashable, Sendable {
        /// RFC 8445 §7
        case check
        /// A check with USE-CANDIDATE (RFC 8445 §8.1.1)
        case nomination
        /// Consent (RFC 7675 §5.1) or keepalive: sent once, its loss ends nothing.
        case liveness
        /// A message of a certain size, to see whether it gets through and its answer back (RFC 8899 §4). Sent once;
        /// its loss ends nothing here.
        case probe

        /// Whether it is about a pair that is valid already, and its failure changes nothing.
        var isAboutValidPair: Bool { self == .liveness || self == .probe }
    }

    let id: TransactionID
    let pair: Int
    let purpose: Purpose
    /// As it was told to the peer: a role conflict is about this (RFC 8445 §7.2.5.1).
    let role: ICERole
    let request: ByteBuffer

    /// How often it was sent.
    var requests = 1
    var sentAt: NIODeadline
    /// The wait after the last request.
    var wait: TimeAmount
    /// When to send again, or to give up.
    var deadline: NIODeadline
    /// No more retransmissions, and its timeout means nothing; an answer still counts (RFC 8445 §7.3.1.4).
    var isCancelled = false
}
