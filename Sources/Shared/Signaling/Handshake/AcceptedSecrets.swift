package import AppProto
import Basics

/// Tells a secret from others without showing anything of it: a hash of its key.
package struct SecretID: Hashable, Sendable {
    fileprivate let bytes: [UInt8]
}

/// The secrets that a server accepts: each for agents, for clients, or for both.
package struct AcceptedSecrets: Sendable {
    /// One of them.
    package struct Entry: Sendable {
        package let key: SharedKey
        /// Whose it is; nil: anybody's.
        package let role: Role?

        package init(_ key: SharedKey, for role: Role? = nil) {
            self.key = key
            self.role = role
        }

        func permits(_ role: Role) -> Bool { self.role == nil || self.role == role }
    }

    /// What a proof shows.
    enum Verdict {
        /// It was made with this key, which is one for the role.
        case accepted(SharedKey)
        /// It was made with a secret of the other role.
        case otherRole
        /// It was made with none of them.
        case unknown
    }

    /// More would make each handshake of a stranger cost too much.
    package static let limit = 64

    /// In the order in which they were given.
    package let entries: [Entry]

    /// - Parameter entries: 1…`limit`.
    package init(_ entries: [Entry]) {
        precondition(1...Self.limit ~= entries.count, "a server has 1 to \(Self.limit) secrets")
        self.entries = entries
    }

    /// One that is good for both roles.
    package init(_ key: SharedKey) {
        self.init([Entry(key)])
    }

    /// Whether a session that was opened with a secret may go on.
    package func accepts(_ id: SecretID, for role: Role) -> Bool {
        self.entries.contains { $0.permits(role) && $0.key.id == id }
    }

    /// The keys that a token for the list of agents may be made with where the server keeps none of its own: those of
    /// secrets that clients may use, who see the list anyway.
    package var tokenKeys: [ServerKey] {
        self.entries.filter { $0.permits(.client) }.map(\.key.serverKey)
    }

    /// What a server without a key of its own derives: of the first secret that is anybody's or clients', else of the first.
    package var serverKey: ServerKey {
        self.tokenKeys.first ?? self.entries[0].key.serverKey
    }

    /// Judges a proof. All keys are tried, whichever fits: the time tells nothing about which it was.
    ///
    /// - Parameters:
    ///   - roles: those of which one is to be the secret's.
    ///   - expected: the proof that a key makes.
    func judge(_ mac: [UInt8], by roles: [Role], expected: (SharedKey) -> [UInt8]) -> Verdict {
        var verdict = Verdict.unknown
        for entry in self.entries where constantTimeEquals(expected(entry.key), mac) {
            if roles.contains(where: entry.permits) {
                verdict = .accepted(entry.key)
            } else if case .unknown = verdict {
                verdict = .otherRole
            }
        }
        return verdict
    }
}

extension Hello {
    /// Whose secret is good enough.
    package var roles: [Role] { self.isCheck ? [.client, .agent] : [self.role] }
}

extension SharedKey {
    /// Tells this key from others.
    package var id: SecretID { SecretID(bytes: self.serverKey.derived(for: "id")) }
}
