import AgentChoice
import DequeModule
import NIOCore

/// Names one client's request for a connection, for as long as the program runs.
package struct RequestID: Hashable, Sendable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The requests that have no answer yet: those that wait for a tunnel, in the order in which they came, and those that are
/// being opened on one. No I/O.
struct RequestQueue {
    /// Why a request can't be served.
    enum Rejection: Equatable {
        /// It waited for an agent in vain.
        case noAgent
        /// Agent after agent stopped answering before it answered this open.
        case tooManyAttempts
    }

    /// What becomes of a request that has lost its tunnel.
    struct Withdrawal: Equatable {
        let id: RequestID
        /// Nil: it waits for another tunnel.
        let rejection: Rejection?
    }

    private struct Request {
        /// Until when it may look for an agent; set once, when it comes.
        let deadline: NIODeadline
        var attempts = 0
        /// Nil while it waits.
        var channel: ChannelID?
    }

    /// How long a request waits for an agent in all, however many of them it tries.
    static let patience = TimeAmount.seconds(10)
    /// So many agents in a row may fail to answer one open.
    static let maximumAttempts = 3

    private var requests: [RequestID: Request] = [:]
    /// In the order of their deadlines.
    private var waiting: Deque<RequestID> = []

    /// How many have no answer.
    var count: Int { self.requests.count }
    /// Whether any waits for a tunnel.
    var isAwaiting: Bool { !self.waiting.isEmpty }
    /// When to call `expire`.
    var nextDeadline: NIODeadline? { self.waiting.first.flatMap { self.requests[$0]?.deadline } }

    /// A client wants to be connected.
    mutating func append(_ id: RequestID, at now: NIODeadline) {
        self.requests[id] = Request(deadline: now + Self.patience)
        self.wait(id)
    }

    /// The request whose turn it is, which is opened on `channel` from now on.
    mutating func next(on channel: ChannelID) -> RequestID? {
        guard let id = self.waiting.popFirst() else { return nil }
        self.requests[id]?.channel = channel
        self.requests[id]?.attempts += 1
        return id
    }

    /// Whether the request may still look for a place.
    func hasTime(_ id: RequestID, at now: NIODeadline) -> Bool { self.requests[id].map { now < $0.deadline } ?? false }

    /// The request is answered, or nobody waits for it any more. Returns the channel that it was being opened on.
    mutating func remove(_ id: RequestID) -> ChannelID? {
        guard let request = self.requests.removeValue(forKey: id) else { return nil }
        if request.channel == nil { self.waiting.removeAll { $0 == id } }
        return request.channel
    }

    /// Opens on `channel` will have no answer: nothing was sent yet that could be lost, so that they look for another one
    /// while they have time left.
    mutating func withdraw(from channel: ChannelID, at now: NIODeadline) -> [Withdrawal] {
        let lost = self.requests.filter { $0.value.channel == channel }
        return lost.sorted { $0.key.rawValue < $1.key.rawValue }.map { id, request in
            let rejection: Rejection? =
                if request.attempts >= Self.maximumAttempts {
                    .tooManyAttempts
                } else if now >= request.deadline {
                    .noAgent
                } else {
                    nil
                }
            if rejection == nil {
                self.requests[id]?.channel = nil
                self.wait(id)
            } else {
                self.requests[id] = nil
            }
            return Withdrawal(id: id, rejection: rejection)
        }
    }

    /// Those that have waited long enough; they are forgotten.
    mutating func expire(at now: NIODeadline) -> [RequestID] {
        var expired: [RequestID] = []
        while let id = self.waiting.first, let request = self.requests[id], request.deadline <= now {
            self.waiting.removeFirst()
            self.requests[id] = nil
            expired.append(id)
        }
        return expired
    }

    /// A new request goes last; one that has waited before gets its place back.
    private mutating func wait(_ id: RequestID) {
        guard let deadline = self.requests[id]?.deadline else { return }
        var index = self.waiting.endIndex
        while index > self.waiting.startIndex,
            let other = self.requests[self.waiting[index - 1]], other.deadline > deadline
        {
            index -= 1
        }
        self.waiting.insert(id, at: index)
    }
}
