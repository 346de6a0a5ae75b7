import NIOCore

/// Which agent to use: the order among those that match, and the memory that makes the choice stick.
///
/// 1. The bound agent, for as long as it works, however its expiry compares.
/// 2. Agents that never expire, then those that expire latest.
/// 3. Agents that failed within the last `penalty`, the one whose failure is longest ago first. They are put last and not
///    left out: with nobody else there, they are the best chance.
struct AgentSelection {
    private struct Failure {
        /// Failures without a success between them.
        var count: Int
        var at: NIODeadline
        /// When the next attempt is due.
        var retryAt: NIODeadline
    }

    /// The agent in use.
    private(set) var bound: AgentKey?
    let pattern: AgentNamePattern
    private let penalty: TimeAmount
    private var failures: [AgentKey: Failure] = [:]

    /// Wait before the next attempt on an agent that has failed `count` times in a row, from 0.5 s up to 8 s.
    private static func wait(afterFailures count: Int) -> TimeAmount {
        .milliseconds(500 << Int64(min(count - 1, 4)))
    }

    /// `penalty`: how long a failed agent comes after all others.
    init(pattern: AgentNamePattern, penalty: TimeAmount = .seconds(30)) {
        self.pattern = pattern
        self.penalty = penalty
    }

    /// `key` is in use, and works.
    mutating func bind(_ key: AgentKey) {
        self.bound = key
        self.failures[key] = nil
    }

    /// No agent is in use.
    mutating func unbind() {
        self.bound = nil
    }

    /// An attempt on `key` failed, or it stopped answering. `retryAtOnce`: it was fine until now, so that a new attempt
    /// may start right away if there is nobody else.
    mutating func markFailed(_ key: AgentKey, retryAtOnce: Bool = false, at now: NIODeadline) {
        let count = (self.failures[key]?.count ?? 0) + 1
        self.failures = self.failures.filter { now - $0.value.at < self.penalty }
        let retryAt = retryAtOnce ? now : now + Self.wait(afterFailures: count)
        self.failures[key] = Failure(count: count, at: now, retryAt: retryAt)
    }

    /// Whatever failed, it may do better now.
    mutating func forgetFailures() { self.failures = [:] }

    /// When the next attempt on `key` is due; `nil`: at any time.
    func retryTime(of key: AgentKey) -> NIODeadline? {
        self.failures[key]?.retryAt
    }

    /// The agents that match, best first.
    func ranked(_ agents: [Agent], at now: NIODeadline) -> [Agent] {
        agents.filter { self.pattern.matches($0.name) }.sorted { one, other in
            let (oneFailed, otherFailed) = (self.failedAt(one.key, now), self.failedAt(other.key, now))
            if oneFailed != otherFailed {
                guard let oneFailed else { return true }
                guard let otherFailed else { return false }
                return oneFailed < otherFailed
            }
            if (one.key == self.bound) != (other.key == self.bound) { return one.key == self.bound }
            let (oneExpiry, otherExpiry) = (one.expiry ?? .max, other.expiry ?? .max)
            if oneExpiry != otherExpiry { return oneExpiry > otherExpiry }
            // Any order would do, as long as it is always the same one.
            return (one.name, one.key.instance) < (other.name, other.key.instance)
        }
    }

    /// When `key` failed, unless that is forgiven by now.
    private func failedAt(_ key: AgentKey, _ now: NIODeadline) -> NIODeadline? {
        guard let failure = self.failures[key], now - failure.at < self.penalty else { return nil }
        return failure.at
    }
}
