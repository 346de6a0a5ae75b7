import AgentChoice
import NIOCore

/// Shares out an agent's streams among the logins of a proxy, so that none of them keeps out the others. A value without a clock.
///
/// A login that is alone leaves an eighth for whoever comes, as tunnels do at the agent; while others are active, too, it gets
/// no more than half. Whoever has none gets one, and waits for it if need be.
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
        /// Logins with streams.
        var counts: [String: Int] = [:]
        /// The agent has no place for more than so many, for the time being.
        var full: (limit: Int, until: NIODeadline)?
    }

    /// For how long a login is active after a try.
    static let memory = TimeAmount.seconds(10)
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

    /// A stream that was taken is over.
    mutating func give(back login: String?, on id: ChannelID) {
        guard var channel = self.channels[id], channel.total > 0 else { return }
        channel.total -= 1
        if let login {
            let count = channel.counts[login, default: 1] - 1
            channel.counts[login] = count > 0 ? count : nil
        }
        self.channels[id] = channel.total > 0 ? channel : nil
    }

    /// The agent had no place for a stream on `id` that was taken, and is given back next.
    mutating func agentIsFull(on id: ChannelID, at now: NIODeadline) {
        guard let total = self.channels[id]?.total else { return }
        self.channels[id]?.full = (max(1, total - 1), now + Self.memory)
    }

    private mutating func tried(_ login: String, at now: NIODeadline) {
        self.tries[login] = now
        // Those of logins that are no more.
        guard self.tries.count > self.loginCount else { return }
        self.tries = self.tries.filter { now - $0.value < Self.memory }
    }

    private func refusal(of login: String, on channel: Channel, at now: NIODeadline) -> Refusal? {
        guard let count = channel.counts[login] else { return nil }
        var capacity = channel.capacity
        if self.isAnotherActive(beside: login, on: channel, at: now) {
            if let full = channel.full, now < full.until { capacity = min(capacity, full.limit) }
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
    private var giveBack: (() -> Void)?

    init(giveBack: @escaping () -> Void) { self.giveBack = giveBack }

    /// It is over. A second end is none.
    func end() {
        self.giveBack?()
        self.giveBack = nil
    }

    deinit { self.giveBack?() }
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
