import AppProto
import Basics

/// Why the agent does not look at what a client offers.
enum PeerRefusal: Error, Equatable {
    case stopping
    case badOffer
    case idInUse
    /// The offer names another key than the server says its client has proved.
    case keyMismatch(CertificateFingerprint, offered: CertificateFingerprint)
    /// `--authorized-clients` does not list it.
    ///
    /// - Parameter isStamped: whether the server says who it is, and so knows the code for this.
    case keyUnknown(CertificateFingerprint, isStamped: Bool)
    /// The client has as many channels as its share of `--max-peers`.
    case share(count: Int, limit: Int)
    /// The client has come anew, and had its share of `--max-peers` already: the new channels go before.
    case replaced
    /// All of `--max-peers` are in use.
    case limit(Int)

    /// What is counted. The raw values stand in logs and metrics.
    enum Reason: String, CaseIterable {
        case keyUnknown = "key_unknown"
        case keyMismatch = "key_mismatch"
        case share
        case limit
        case other
    }

    var reason: Reason {
        switch self {
        case .keyUnknown: .keyUnknown
        case .keyMismatch: .keyMismatch
        case .share, .replaced: .share
        case .limit: .limit
        case .stopping, .badOffer, .idInUse: .other
        }
    }

    /// What to answer.
    var failure: Failure {
        switch self {
        case .stopping: Failure(code: .refused, reason: "the agent is stopping")
        case .badOffer: Failure(code: .badRequest, reason: "a fingerprint of 32 bytes is missing")
        case .idInUse: Failure(code: .badRequest, reason: "the peer id is in use")
        case .keyMismatch(let proved, let offered):
            Failure(
                code: .badRequest, reason: "the offer names the key \(offered), but its client has proved \(proved)")
        case .keyUnknown(let key, let isStamped):
            // An older server would turn this code into one that says nothing.
            Failure(
                code: isStamped ? .clientUnknown : .refused,
                reason: "this agent does not list this client's key \(key): add it to its --authorized-clients")
        case .share(let count, let limit):
            Failure(
                code: .share,
                reason:
                    "this client has \(count) channels already, which is its share of the agent's \(limit) (--max-peers)"
            )
        case .replaced:
            Failure(code: .share, reason: "a newer process with this client's key has got the place (--max-peers)")
        case .limit(let limit): Failure(code: .refused, reason: "the agent is at its limit of \(limit) peers")
        }
    }
}
