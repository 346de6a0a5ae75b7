import NIOCore

/// Why attempts have failed since the last channel to an agent stood, by the agent's name, and when that was said loudly:
/// once, and again after a minute.
struct KnownCauses {
    /// So many agents' and so many an agent's causes are remembered at most.
    private static let maximumCount = 256

    private let interval: TimeAmount
    private var causes: [String: [String: NIODeadline]] = [:]

    /// `interval`: after which a cause is news again.
    init(interval: TimeAmount) { self.interval = interval }

    /// What need not be said again.
    func recent(of agent: String, at now: NIODeadline) -> Set<String> {
        Set((self.causes[agent] ?? [:]).filter { self.isRecent($0.value, now) }.keys)
    }

    /// A channel to the agent stands.
    mutating func forget(_ agent: String) { self.causes[agent] = nil }

    /// An attempt has failed, which was told.
    mutating func remember(_ cause: String, of agent: String, at now: NIODeadline) {
        if self.causes.count >= Self.maximumCount, self.causes[agent] == nil { self.causes = [:] }
        var known = self.causes[agent] ?? [:]
        if known.count >= Self.maximumCount { known = [:] }
        if !(known[cause].map { self.isRecent($0, now) } ?? false) { known[cause] = now }
        self.causes[agent] = known
    }

    private func isRecent(_ time: NIODeadline, _ now: NIODeadline) -> Bool { time > now - self.interval }
}
