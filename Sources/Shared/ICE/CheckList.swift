import DequeModule
import STUN

/// The pairs of a session, and the order in which they are checked (RFC 8445 §6.1.2 and §6.1.4.2).
///
/// Indices stay valid: a pair is never removed, and replaced only while nothing has happened to it.
struct CheckList: Sendable {
    private(set) var pairs: [CandidatePair] = []
    private var indices: [CandidatePair.Key: Int] = [:]
    private var triggered: Deque<Int> = []
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    subscript(index: Int) -> CandidatePair {
        get { self.pairs[index] }
        set { self.pairs[index] = newValue }
    }

    func index(of key: CandidatePair.Key) -> Int? {
        self.indices[key]
    }

    /// Adds a pair whose key is new. When the list is full, the least of the untried pairs makes room if it is worth
    /// less (RFC 8445 §6.1.2.5). Returns nil when there is no room.
    mutating func insert(_ pair: CandidatePair) -> Int? {
        if self.pairs.count < self.limit {
            self.pairs.append(pair)
            self.indices[pair.key] = self.pairs.count - 1
            return self.pairs.count - 1
        }
        let replaceable = self.pairs.indices.filter { self.pairs[$0].isUntried && !self.triggered.contains($0) }
        guard let least = replaceable.min(by: { self.pairs[$0].priority < self.pairs[$1].priority }),
            self.pairs[least].priority < pair.priority
        else {
            return nil
        }
        self.indices[self.pairs[least].key] = nil
        self.pairs[least] = pair
        self.indices[pair.key] = least
        return least
    }

    mutating func updatePriorities(role: ICERole) {
        for index in self.pairs.indices {
            self.pairs[index].updatePriority(role: role)
        }
    }

    // MARK: Order of checks

    /// Checks this pair before all ordinary ones (RFC 8445 §6.1.4.1).
    mutating func trigger(_ index: Int) {
        self.pairs[index].state = .waiting
        if !self.triggered.contains(index) {
            self.triggered.append(index)
        }
    }

    /// The pair to check next, or nil when there is none for now. `onlyTriggered`: ordinary checks have ended.
    ///
    /// Pairs start frozen. One whose foundation nobody is checking thaws when its turn comes, best first
    /// (RFC 8445 §6.1.4.2), or when a pair of the same foundation has succeeded (`thaw`).
    func next(onlyTriggered: Bool) -> Int? {
        if let index = self.triggered.first(where: { self.pairs[$0].state == .waiting }) {
            return index
        }
        if onlyTriggered {
            return nil
        }
        if let waiting = self.best(where: { $0.state == .waiting }) {
            return waiting
        }
        guard self.pairs.contains(where: { $0.state == .frozen }) else {
            return nil
        }
        let busy = Set(self.pairs.lazy.filter { $0.state == .inProgress }.map(\.foundation))
        return self.best { $0.state == .frozen && !busy.contains($0.foundation) }
    }

    /// Takes the pair out of the queue of triggered checks: its check begins.
    mutating func begin(_ index: Int, transaction: TransactionID) {
        self.triggered.removeAll { $0 == index || self.pairs[$0].state != .waiting }
        self.pairs[index].state = .inProgress
        self.pairs[index].currentCheck = transaction
    }

    /// A check has succeeded: pairs of the same foundation deserve theirs (RFC 8445 §7.2.5.3.3).
    mutating func thaw(_ foundation: CandidatePair.Foundation) {
        for index in self.pairs.indices
        where self.pairs[index].state == .frozen && self.pairs[index].foundation == foundation {
            self.pairs[index].state = .waiting
        }
    }

    // MARK: Questions

    /// The pair of the highest priority that satisfies `condition`; the oldest of equals.
    func best(where condition: (CandidatePair) -> Bool) -> Int? {
        var best: Int?
        for index in self.pairs.indices where condition(self.pairs[index]) {
            if let found = best, self.pairs[found].priority >= self.pairs[index].priority {
                continue
            }
            best = index
        }
        return best
    }

    /// Waiting and in-progress pairs, for the RTO (RFC 8445 §14.3).
    var activeCount: Int {
        self.pairs.count { $0.state == .waiting || $0.state == .inProgress }
    }

    /// Nothing is left to try.
    var allFailed: Bool {
        self.pairs.allSatisfy { if case .failed = $0.state { true } else { false } }
    }

    /// Whether a pair better than `priority` may still succeed.
    func hasUnfinished(above priority: UInt64) -> Bool {
        self.pairs.contains { pair in
            switch pair.state {
            case .frozen, .waiting, .inProgress: pair.priority > priority
            case .succeeded, .failed: false
            }
        }
    }
}
