import AppProto
import Basics

/// The clients that have channels, and those that may have some. A value without I/O.
struct ClientTable {
    /// A client may come in.
    struct Admission {
        /// Of the offer: what TLS will prove.
        let key: CertificateFingerprint
        /// Whose share of the channels it gets.
        let payer: ClientID
        /// Who it is once its key is proved.
        let id: ClientID
        fileprivate let rule: ClientRule?
    }

    private struct Entry {
        let client: Client
        var channels: Int
    }

    /// Nil: everybody may come in.
    private(set) var list: AuthorizedClients?
    private let rules: EgressRules
    private var entries: [ClientID: Entry] = [:]

    /// - Parameter rules: those of the agent, for everybody.
    init(_ list: AuthorizedClients?, rules: EgressRules) {
        self.list = list
        self.rules = rules
    }

    /// How many there are.
    var count: Int { self.entries.count }

    /// Looks at who makes an offer. The server's word counts for nothing where there is a list: the offer's key is the one that
    /// TLS will ask for.
    func admission(of offer: OpenPeer) throws(PeerRefusal) -> Admission {
        guard let key = CertificateFingerprint(bytes: offer.fingerprint) else { throw .badOffer }
        if let proved = offer.client?.key, proved.fingerprint != key {
            throw .keyMismatch(proved.fingerprint, offered: key)
        }
        guard let list = self.list else {
            let id = ClientID(of: offer)
            return Admission(key: key, payer: id, id: id, rule: nil)
        }
        guard let rule = list.rules[key] else { throw .keyUnknown(key, isStamped: offer.client != nil) }
        // One whose key nobody has looked at yet has no share of the one who may really have that key.
        let payer: ClientID = offer.client.map { $0.key == nil ? .session($0.session) : .key(key) } ?? .key(key)
        return Admission(key: key, payer: payer, id: .key(key), rule: rule)
    }

    /// The client has one more channel.
    mutating func enter(_ admission: Admission) -> Client {
        let client = self.entries[admission.id]?.client ?? Client(admission.id, rule: admission.rule, rules: self.rules)
        self.entries[admission.id, default: Entry(client: client, channels: 0)].channels += 1
        return client
    }

    /// The client has one channel less.
    mutating func leave(_ id: ClientID) {
        guard var entry = self.entries[id] else { return }
        entry.channels -= 1
        self.entries[id] = entry.channels > 0 ? entry : nil
    }

    /// Another list holds from now on. Those who are not on it any more are for the caller to close.
    mutating func change(to list: AuthorizedClients) {
        self.list = list
        for (id, entry) in self.entries {
            if case .key(let key) = id, let rule = list.rules[key] { entry.client.change(to: rule) }
        }
    }
}
