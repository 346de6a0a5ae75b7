import AppProto
import Basics

/// Whom the agent's limits are shared with: a client, as far as one can be told from another.
enum ClientID: Hashable, Sendable, CustomStringConvertible {
    /// By its key, which it keeps in a file, or which is listed.
    case key(CertificateFingerprint)
    /// By its control connection, as the server names it: the key that it has proved is as new as its process.
    case session(UInt64)
    /// By the channel: the server is of an older version, and says nothing.
    case channel(PeerID)

    /// Who makes this offer. What the server says of it and what the offer says itself agree.
    init(of offer: OpenPeer) {
        switch offer.client {
        case nil: self = .channel(offer.peerID)
        case .some(let stamp):
            if let key = stamp.key, key.isKept { self = .key(key.fingerprint) } else { self = .session(stamp.session) }
        }
    }

    /// For people, and in the status.
    var description: String {
        switch self {
        case .key(let key): "\(key)"
        case .session(let number): "session \(Hex.text(number, digits: 16))"
        case .channel(let id): "channel \(id)"
        }
    }

    /// Whether it is more than somebody who has just come.
    var isKnown: Bool { if case .key = self { true } else { false } }
}
