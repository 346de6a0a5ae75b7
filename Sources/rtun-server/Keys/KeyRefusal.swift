import AppProto
import Basics

/// Why `--authorized-keys` keeps a peer out, which knows the secret.
enum KeyRefusal: Equatable {
    /// It has proved no key: it is of a version before 0.13.
    case withoutIdentity
    /// `line` would let it in.
    case unknown(CertificateFingerprint, line: String)
    /// The key is listed for agents of other names.
    case nameNotYours(CertificateFingerprint, name: String, listed: [String])

    /// In the log and in metrics.
    enum Reason: String, CaseIterable {
        case withoutIdentity = "without_identity"
        case keyUnknown = "key_unknown"
        case nameNotYours = "name_not_yours"
    }

    var reason: Reason {
        switch self {
        case .withoutIdentity: .withoutIdentity
        case .unknown: .keyUnknown
        case .nameNotYours: .nameNotYours
        }
    }

    var key: CertificateFingerprint? {
        switch self {
        case .withoutIdentity: nil
        case .unknown(let key, _), .nameNotYours(let key, _, _): key
        }
    }

    /// Names of its own that a peer is told.
    private static let namesTold = 3

    /// What the peer is told. One that has proved a key knows all codes; to an older one a wrong secret is what ends it.
    var goodbye: Goodbye {
        switch self {
        case .withoutIdentity:
            Goodbye(
                code: .auth,
                reason:
                    "this server lets in listed keys only, and this program proves none: it takes version 0.13 or later"
            )
        case .unknown(let key, _):
            Goodbye(code: .keyUnknown, reason: "the key \(key) is not in the server's --authorized-keys")
        case .nameNotYours(let key, let name, let listed):
            Goodbye(
                code: .nameHeld,
                reason: "the server's --authorized-keys has the key \(key) as "
                    + listed.prefix(Self.namesTold).joined(separator: ", ")
                    + (listed.count > Self.namesTold ? ", …" : "")
                    + ", and not as \(name)")
        }
    }

    /// What a person reads in the server's log; what a peer has chosen is no part of it.
    var words: String {
        switch self {
        case .withoutIdentity: "a peer that proves no key is refused: it is older than version 0.13"
        case .unknown: "a peer is refused: its key is not in --authorized-keys"
        case .nameNotYours: "an agent is refused: --authorized-keys has its key under another name"
        }
    }

    /// What would let it in; nil: a newer version.
    var line: String? {
        switch self {
        case .withoutIdentity: nil
        case .unknown(_, let line): line
        case .nameNotYours(let key, let name, _): "agent \(name) \(key)"
        }
    }
}
