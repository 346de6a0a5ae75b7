import Basics
import AppProto
import NIOCore
import Signaling

/// Which agent holds which name. A value: time comes in, nothing goes out but answers.
struct Registry {
    /// One registered agent.
    struct Entry: Equatable {
        let session: SessionID
        /// When the process was born, on this server's clock, which nobody sets: of two with the same name the younger holds it.
        let birth: Birth
        /// What the token of an agent says that has proved no key: of two such the one created later holds a name. Unix time
        /// in milliseconds.
        let createdAtMilliseconds: UInt64
        var info: AgentInfo
    }

    /// A moment on the clock of `NIODeadline`, also before its zero: processes may be older than the server's machine.
    struct Birth: Comparable {
        private let nanoseconds: Int64

        /// That of a process which is so old now.
        init(age milliseconds: UInt64, at now: NIODeadline) {
            let (age, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
            // Two numbers that are not negative.
            self.nanoseconds = Int64(clamping: now.uptimeNanoseconds) - Int64(clamping: overflow ? .max : age)
        }

        static func < (left: Birth, right: Birth) -> Bool { left.nanoseconds < right.nanoseconds }
    }

    /// How a registration ended.
    enum Registration: Equatable {
        case registered(Entry, displaced: Entry?)
        /// A younger process holds the name.
        case superseded
        /// Another key holds the name, and is kept.
        case nameHeld(by: ProvedKey)
        /// The registration that is resumed has ended.
        case expired
        /// There are as many agents as this server takes.
        case full
    }

    /// An agent's place in the order: those that never end first, then the latest end.
    private struct Rank: Comparable {
        let end: UInt64
        let name: String

        init(_ agent: AgentInfo) {
            self.init(end: agent.expireAtMilliseconds == 0 ? .max : agent.expireAtMilliseconds, name: agent.name)
        }

        init(end: UInt64, name: String) {
            self.end = end
            self.name = name
        }

        /// What `cursor` wrote; nil when `text` is no such thing.
        init?(cursor text: String) {
            guard let colon = text.firstIndex(of: ":"), let end = UInt64(text[..<colon]) else { return nil }
            self.init(end: end, name: String(text[colon...].dropFirst()))
        }

        var cursor: String { "\(self.end):\(self.name)" }

        static func < (left: Rank, right: Rank) -> Bool {
            left.end == right.end ? left.name < right.name : left.end > right.end
        }
    }

    private let capacity: Int
    /// Whether all that register have listed keys.
    private let listsKeys: Bool
    private var entries: [String: Entry] = [:]
    private var names: [SessionID: String] = [:]
    /// The names in the order in which clients prefer their agents.
    private var order: [Rank] = []
    private var lastCreation: UInt64 = 0

    init(capacity: Int, listsKeys: Bool = false) {
        self.capacity = capacity
        self.listsKeys = listsKeys
    }

    var count: Int { self.entries.count }

    /// The end that comes first, Unix time in milliseconds; `nil` when nothing ever ends.
    var nextExpiry: UInt64? {
        self.entries.values.lazy.map(\.info.expireAtMilliseconds).filter { $0 != 0 }.min()
    }

    /// Registers an agent, or lets it have its name back; the younger process wins a contested name.
    ///
    /// - Parameters:
    ///   - newID: the id to use where `claim` gives a right to none.
    ///   - now: the moment, by both clocks.
    mutating func register(
        _ agent: AgentRegistration, claim: Claim, newID: InstanceID, session: SessionID,
        address: String, software: String, now: Moment
    ) -> Registration {
        let holder = self.entries[agent.name]
        let birth = Self.birth(claim, now)
        if case .token(let token) = claim, token.expireAtMilliseconds != 0,
            token.expireAtMilliseconds <= now.unixMilliseconds
        {
            return .expired
        }
        if let holder, let refusal = Self.refusal(of: claim, born: birth, becauseOf: holder) { return refusal }
        guard holder != nil || self.entries.count < self.capacity else { return .full }

        var entry = Entry(
            session: session, birth: birth,
            createdAtMilliseconds: self.creationTime(claim, now: now.unixMilliseconds, after: holder),
            info: AgentInfo(
                name: agent.name, instanceID: claim.instanceID ?? newID,
                expireAtMilliseconds: Self.expiry(agent, claim, now: now.unixMilliseconds, holder: holder),
                address: address, software: software, labels: agent.labels, key: claim.key))
        entry.info.isKeyListed = self.listsKeys
        if let holder {
            self.names[holder.session] = nil
            // The process is the same, and behind the same NAT until it says otherwise.
            if holder.info.instanceID == entry.info.instanceID { entry.info.mapping = holder.info.mapping }
        }
        if let holder { self.removeRank(of: holder.info) }
        self.order.insert(Rank(entry.info), at: self.place(of: Rank(entry.info)))
        self.entries[agent.name] = entry
        self.names[session] = agent.name
        return .registered(entry, displaced: holder)
    }

    /// Keeps what the session's agent says of its NAT; without effect when it holds no name (any more).
    mutating func setMapping(_ mapping: MappingBehavior, session: SessionID) {
        guard let name = self.names[session] else { return }
        self.entries[name]?.info.mapping = mapping
    }

    /// Takes the session's agent out of the registry; `nil` when it holds no name (any more).
    mutating func remove(session: SessionID) -> Entry? {
        guard let name = self.names.removeValue(forKey: session), let entry = self.entries.removeValue(forKey: name)
        else { return nil }
        self.removeRank(of: entry.info)
        return entry
    }

    /// Takes out all agents whose end has come.
    mutating func removeExpired(now: UInt64) -> [Entry] {
        let expired = self.entries.values.filter {
            $0.info.expireAtMilliseconds != 0 && $0.info.expireAtMilliseconds <= now
        }
        return expired.compactMap { self.remove(session: $0.session) }
    }

    func entry(named name: String) -> Entry? {
        self.entries[name]
    }

    /// The name that the session's agent has.
    func name(of session: SessionID) -> String? { self.names[session] }

    /// All of them, in no order.
    var all: some Collection<Entry> { self.entries.values }

    /// All agents in the order in which clients prefer them: those that never end first, then the latest end.
    var agents: [AgentInfo] { self.order.compactMap { self.entries[$0.name]?.info } }

    /// The first of them, at most `limit`.
    func first(_ limit: Int) -> [Entry] { self.order.prefix(limit).compactMap { self.entries[$0.name] } }

    /// A part of `agents`.
    ///
    /// - Parameters:
    ///   - limit: how many at most; 0: all that fit one message.
    ///   - cursor: `next` of the part before; empty, or of no known form: from the first on.
    ///   - isWanted: of a name: whether the list has it; nil: it has all.
    func page(limit: Int, after cursor: String, where isWanted: ((String) -> Bool)? = nil) -> AgentList {
        let start = Rank(cursor: cursor).map { rank in
            let place = self.place(of: rank)
            return place < self.order.count && self.order[place] == rank ? place + 1 : place
        }
        let rest = self.order[(start ?? 0)...].lazy.filter { isWanted?($0.name) ?? true }
        // No more than fit one message at the least size that they can have.
        let wanted = limit > 0 ? min(limit, Self.mostInOneMessage) : Self.mostInOneMessage
        // One more says whether the list goes on.
        let found = rest.prefix(wanted + 1).compactMap { self.entries[$0.name]?.info }
        var list = AgentList(agents: Array(found.prefix(wanted))).fitting()
        if list.agents.count < found.count, let last = list.agents.last { list.next = Rank(last).cursor }
        return list
    }

    /// A name of one byte and an id of 32 take as much.
    private static let mostInOneMessage = AppProtoLimits.envelope / 40

    /// Where a rank is in the order, or would be.
    private func place(of rank: Rank) -> Int {
        var (low, high) = (0, self.order.count)
        while low < high {
            let middle = (low + high) / 2
            if self.order[middle] < rank { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func removeRank(of agent: AgentInfo) {
        let place = self.place(of: Rank(agent))
        if place < self.order.count, self.order[place].name == agent.name { self.order.remove(at: place) }
    }

    // MARK: A contested name

    /// Why an agent does not get the name that `holder` has; nil when it does.
    private static func refusal(of claim: Claim, born birth: Birth, becauseOf holder: Entry) -> Registration? {
        switch claim {
        case .key(let key, _):
            if holder.info.instanceID == claim.instanceID { return nil }
            if let other = holder.info.key, other.isKept, other.fingerprint != key.fingerprint {
                return .nameHeld(by: other)
            }
            return birth < holder.birth ? .superseded : nil
        case .token(let token):
            // Whoever has the secret can make a token that says anything.
            if holder.info.key != nil { return .superseded }
            if holder.info.instanceID == token.instanceID { return nil }
            return holder.createdAtMilliseconds >= token.createdAtMilliseconds ? .superseded : nil
        case .nothing:
            guard let other = holder.info.key, other.isKept else { return nil }
            return .nameHeld(by: other)
        }
    }

    /// A token's word counts for the past only.
    private static func birth(_ claim: Claim, _ now: Moment) -> Birth {
        let age: UInt64
        switch claim {
        case .key(_, let process): age = process.aliveMilliseconds
        case .token(let token):
            age = now.unixMilliseconds - min(now.unixMilliseconds, token.createdAtMilliseconds)
        case .nothing: age = 0
        }
        return Birth(age: age, at: now.deadline)
    }

    // MARK: The end

    /// When the registration ends. A process that comes back says how much is left; as long as it holds its name that makes
    /// the end no later.
    private static func expiry(
        _ agent: AgentRegistration, _ claim: Claim, now: UInt64, holder: Entry?
    ) -> UInt64 {
        if case .token(let token) = claim { return token.expireAtMilliseconds }
        let end = Self.expiry(agent.expireInMilliseconds, from: now)
        guard let holder, holder.info.instanceID == claim.instanceID else { return end }
        let before = holder.info.expireAtMilliseconds
        return end == 0 ? before : before == 0 ? end : min(end, before)
    }

    /// 0 asks for a registration that never expires; so does one that ends beyond what the wire can say.
    private static func expiry(_ milliseconds: UInt64, from now: UInt64) -> UInt64 {
        let (end, overflow) = now.addingReportingOverflow(milliseconds)
        return milliseconds == 0 || overflow ? 0 : end
    }

    /// Strictly later than all before, even when the clock stands still or goes back, but for tokens, which say it.
    private mutating func creationTime(_ claim: Claim, now: UInt64, after holder: Entry?) -> UInt64 {
        if case .token(let token) = claim { return token.createdAtMilliseconds }
        let last = max(self.lastCreation, holder?.createdAtMilliseconds ?? 0)
        self.lastCreation = max(now, last &+ 1)
        return self.lastCreation
    }
}
