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
        /// Which of the payer's control connections this is, in the order in which the agent has come to know them; 0: the server
        /// is of an older version, and does not tell.
        let generation: UInt64
        fileprivate let session: UInt64?
        fileprivate let rule: ClientRule?
    }

    /// Stands for whoever has the share that an offer uses before its client has proved anything: one for each payer.
    final class Payer: Sendable {}

    private struct Entry {
        let client: Client
        var channels: Int
    }

    /// One that channels are charged to.
    private struct Account {
        /// So many control connections are told from new ones, so that one cannot come back as a newer one.
        private static let sessionLimit = 64

        let payer = Payer()
        var channels = 0
        private var sessions: [(name: UInt64, generation: UInt64)] = []

        func generation(of session: UInt64) -> UInt64 {
            self.sessions.last { $0.name == session }?.generation ?? (self.sessions.last?.generation ?? 0) + 1
        }

        mutating func enter(_ admission: Admission) {
            self.channels += 1
            guard let session = admission.session, admission.generation > self.sessions.last?.generation ?? 0 else {
                return
            }
            if self.sessions.count == Self.sessionLimit { self.sessions.removeFirst() }
            self.sessions.append((session, admission.generation))
        }
    }

    /// Nil: everybody may come in.
    private(set) var list: AuthorizedClients?
    private let rules: EgressRules
    private var entries: [ClientID: Entry] = [:]
    private var accounts: [ClientID: Account] = [:]

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
            return self.admission(key, payer: id, id: id, offer, nil)
        }
        guard let rule = list.rules[key] else { throw .keyUnknown(key, isStamped: offer.client != nil) }
        // One whose key nobody has looked at yet has no share of the one who may really have that key.
        let payer: ClientID = offer.client.map { $0.key == nil ? .session($0.session) : .key(key) } ?? .key(key)
        return self.admission(key, payer: payer, id: .key(key), offer, rule)
    }

    private func admission(
        _ key: CertificateFingerprint, payer: ClientID, id: ClientID, _ offer: OpenPeer, _ rule: ClientRule?
    ) -> Admission {
        let session = offer.client?.session
        let generation = session.map { self.accounts[payer]?.generation(of: $0) ?? 1 } ?? 0
        return Admission(key: key, payer: payer, id: id, generation: generation, session: session, rule: rule)
    }

    /// The client has one more channel, on the account of the payer that is returned with it.
    mutating func enter(_ admission: Admission) -> (client: Client, payer: Payer) {
        let client = self.entries[admission.id]?.client ?? Client(admission.id, rule: admission.rule, rules: self.rules)
        self.entries[admission.id, default: Entry(client: client, channels: 0)].channels += 1
        var account = self.accounts[admission.payer] ?? Account()
        account.enter(admission)
        self.accounts[admission.payer] = account
        return (client, account.payer)
    }

    /// The client has one channel less.
    mutating func leave(_ admission: Admission) {
        if var entry = self.entries[admission.id] {
            entry.channels -= 1
            self.entries[admission.id] = entry.channels > 0 ? entry : nil
        }
        if var account = self.accounts[admission.payer] {
            account.channels -= 1
            self.accounts[admission.payer] = account.channels > 0 ? account : nil
        }
    }

    /// Another list holds from now on. Those who are not on it any more are for the caller to close. Returns whose lines are
    /// others now.
    mutating func change(to list: AuthorizedClients) -> Set<CertificateFingerprint> {
        let former = self.list
        self.list = list
        for (id, entry) in self.entries {
            if case .key(let key) = id, let rule = list.rules[key] { entry.client.change(to: rule) }
        }
        return Set(list.rules.keys.filter { list.rules[$0] != former?.rules[$0] })
    }
}
