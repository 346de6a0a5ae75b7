import AgentChoice
import NIOCore

/// Shares out an agent's streams among the logins of a proxy, so that none of them keeps out the others. A value without a clock.
///
/// A login that is alone leaves an eighth for whoever comes, as tunnels do at the agent; while others are active, too, it gets
/// no more than half. Whoever has none gets one, and waits for it if need be. How many there are says the tunnel, and the agent
/// by refusing one: it may give the client less.
struct LoginShares {
    /// Why a login gets no further stream.
    enum Refusal: Hashable {
        /// Others are active, and it has its half of so many.
        case half(of: Int)
        /// The last of so many are for logins that have none, or all are in use.
        case reserve(of: Int)
    }

    private struct Channel {
        /// The most that it has allowed so far.
        var capacity = 0
        var total = 0
        /// Those of them that the agent has opened.
        var open = 0
        /// Logins with streams.
        var counts: [String: Int] = [:]
        var full: Full?
    }

    /// The agent has refused a stream. That holds until it opens one beyond the limit.
    private struct Full {
        /// So many it had place for.
        let limit: Int
        /// When it is asked for more.
        let until: NIODeadline
        /// For how long it is not.
        let wait: TimeAmount
    }

    /// For how long a login is active after a try.
    static let memory = TimeAmount.seconds(10)
    /// How long an agent that was full is asked for no more: at first, and when that was in vain each time. Whatever is asked
    /// for is missing in what is kept for others.
    private static let waits = (first: TimeAmount.seconds(10), longest: TimeAmount.minutes(5))
    /// One of so many parts is kept for others.
    private static let parts = 8

    /// How many logins there are. With fewer than two nothing is shared.
    var loginCount = 0
    private var channels: [ChannelID: Channel] = [:]
    /// When each login has tried last. Only those that there are get so far.
    private var tries: [String: NIODeadline] = [:]

    /// `login` wants a stream on `id`; it has it, unless it is refused. Nil is for nobody's.
    ///
    /// - Parameter capacity: how many the tunnel allows now, with those that are open.
    mutating func take(_ login: String?, on id: ChannelID, capacity: Int, at now: NIODeadline) -> Refusal? {
        var channel = self.channels[id] ?? Channel()
        channel.capacity = max(channel.capacity, capacity)
        defer { self.channels[id] = channel }
        if let login, self.loginCount > 1 {
            self.tried(login, at: now)
            if let refusal = self.refusal(of: login, on: channel, at: now) { return refusal }
        }
        channel.total += 1
        if let login { channel.counts[login, default: 0] += 1 }
        return nil
    }

    /// A stream that was taken is over. `wasOpen` says whether the agent had opened it.
    mutating func give(back login: String?, on id: ChannelID, wasOpen: Bool = false) {
        guard var channel = self.channels[id], channel.total > 0 else { return }
        channel.total -= 1
        if wasOpen { channel.open -= 1 }
        if let login {
            let count = channel.counts[login, default: 1] - 1
            channel.counts[login] = count > 0 ? count : nil
        }
        self.channels[id] = channel.total > 0 || channel.full != nil ? channel : nil
    }

    /// The agent has opened a stream on `id` that was taken.
    mutating func opened(on id: ChannelID) {
        guard var channel = self.channels[id] else { return }
        channel.open += 1
        if let full = channel.full, channel.open > full.limit { channel.full = nil }
        self.channels[id] = channel
    }

    /// The agent had no place for a stream on `id` that was taken, and is given back next, or tried again.
    mutating func agentIsFull(on id: ChannelID, at now: NIODeadline) {
        guard let channel = self.channels[id] else { return }
        var limit = max(1, channel.total - 1)
        var wait = Self.waits.first
        if let full = channel.full {
            limit = min(limit, full.limit)
            // Several may have been under way.
            wait = now < full.until ? full.wait : min(.nanoseconds(2 * full.wait.nanoseconds), Self.waits.longest)
        }
        self.channels[id]?.full = Full(limit: limit, until: now + wait, wait: wait)
    }

    /// Whether `login`, which has taken a stream on `id` that the agent has no place for, may try that again: it has no other
    /// one, and those that have some may give one back.
    func mayWait(_ login: String?, on id: ChannelID) -> Bool {
        guard let login, self.loginCount > 1, let counts = self.channels[id]?.counts else { return false }
        return counts[login] == 1 && counts.count > 1
    }

    /// The tunnel is no more.
    mutating func closed(_ id: ChannelID) { self.channels[id] = nil }

    private mutating func tried(_ login: String, at now: NIODeadline) {
        self.tries[login] = now
        // Those of logins that are no more.
        guard self.tries.count > self.loginCount else { return }
        self.tries = self.tries.filter { now - $0.value < Self.memory }
    }

    private func refusal(of login: String, on channel: Channel, at now: NIODeadline) -> Refusal? {
        guard let count = channel.counts[login] else { return nil }
        var capacity = channel.capacity
        if let full = channel.full, now < full.until { capacity = min(capacity, full.limit) }
        if self.isAnotherActive(beside: login, on: channel, at: now) {
            guard count < max(1, capacity / 2) else { return .half(of: capacity) }
        }
        let left = capacity - channel.total - 1
        // Once all have some, nothing needs to be kept for one that has none.
        let isNobodyMissing = channel.counts.count == self.loginCount
        let isRoom = isNobodyMissing ? left >= 0 : count < (Self.parts - 1) * left
        return isRoom ? nil : .reserve(of: capacity)
    }

    private func isAnotherActive(beside login: String, on channel: Channel, at now: NIODeadline) -> Bool {
        channel.counts.keys.contains { $0 != login }
            || self.tries.contains { $0.key != login && now - $0.value < Self.memory }
    }
}

/// A stream that counts for a login until it is over.
final class StreamShare {
    /// Whether the agent has opened it.
    var isOpen = false
    private var giveBack: ((_ wasOpen: Bool) -> Void)?

    init(giveBack: @escaping (_ wasOpen: Bool) -> Void) { self.giveBack = giveBack }

    /// It is over. A second end is none.
    func end() {
        self.giveBack?(self.isOpen)
        self.giveBack = nil
    }

    deinit { self.giveBack?(self.isOpen) }
}

extension LoginShares.Refusal {
    /// As logs have it.
    enum Name: String {
        case half
        case reserve
    }

    var name: Name {
        switch self {
        case .half: .half
        case .reserve: .reserve
        }
    }

    /// For the client.
    var reason: String {
        switch self {
        case .half(let capacity):
            "this login has its half of the \(capacity) streams to the agent, and others use it too"
        case .reserve(let capacity): "the last of the \(capacity) streams to the agent are kept for other logins"
        }
    }
}
