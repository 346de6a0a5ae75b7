import Basics
import NIOCore

/// Why a client has no agent to use, and what has been told of it: at once, and every five minutes while somebody wants one.
/// A value without a clock.
struct AgentTrouble {
    /// Why there is no agent to choose.
    enum Lack: Hashable {
        case nobodyRegistered
        case nobodyMatches
    }

    /// Something to tell.
    struct Notice: Equatable {
        let message: String
        /// For how long it has been so; nil: it is new.
        let lasting: TimeAmount?
    }

    /// So many agents' failures are remembered at most.
    private static let maximumAgents = 256
    /// How many names of agents a line of the log shows at most.
    static let namesShown = 10

    private var lack = Trouble<Lack>()
    /// What `lack` is in words, with what is registered now.
    private var words = ""
    /// Of attempts since the last channel to an agent stood, by the agent's name.
    private var failures: [String: Trouble<String>] = [:]
    private var unreachable = Trouble<Set<String>>()
    /// Whether somebody has wanted a channel in vain since it was last told.
    private var isWanted = false
    /// Since when there has been trouble of any of these kinds.
    private var since: NIODeadline?

    /// Somebody wants a channel, and there is none.
    mutating func wanted() { self.isWanted = true }

    /// Why there is no channel, for whoever has waited for one in vain; nil when nothing is known to stand in the way.
    func reason(at now: NIODeadline) -> String? {
        if self.lack.since != nil { return self.words }
        if self.unreachable.since != nil { return self.unreachableWords }
        guard let (agent, failure) = self.failures.first(where: { $0.value.latest != nil }) else { return nil }
        return "no channel to \(agent): \(failure.latest ?? "")"
    }

    // MARK: Nobody to choose

    /// The server's list has no agent that matches. Returns what to tell.
    mutating func nobody(among names: [String], matches pattern: String, at now: NIODeadline) -> Notice? {
        self.words =
            names.isEmpty
            ? "no agent is registered with the server"
            : "no agent matches \"\(pattern)\"; registered: \(Self.list(names))"
        self.since = self.since ?? now
        guard self.lack.since == nil || self.isWanted else { return nil }
        let news = self.lack.occurred(names.isEmpty ? .nobodyRegistered : .nobodyMatches, at: now)
        return self.notice(self.words, news)
    }

    /// There is an agent to choose.
    mutating func somebodyMatches(at now: NIODeadline) { _ = self.lack.ended(at: now) }

    // MARK: Attempts

    /// What need not be said again of attempts to reach `agent`.
    func known(of agent: String, at now: NIODeadline) -> Set<String> { self.failures[agent]?.known(at: now) ?? [] }

    /// An attempt to reach `agent` has failed, which was told. Returns what else there is to tell, when none of
    /// `candidates`, of which there are several, can be reached.
    mutating func attemptFailed(_ agent: String, _ cause: String, candidates: [String], at now: NIODeadline) -> Notice?
    {
        if self.failures.count >= Self.maximumAgents, self.failures[agent] == nil { self.failures = [:] }
        _ = self.failures[agent, default: Trouble()].occurred(cause, at: now)
        self.since = self.since ?? now
        guard candidates.count > 1, candidates.allSatisfy({ self.failures[$0] != nil }) else { return nil }
        guard self.unreachable.since == nil || self.isWanted else { return nil }
        let news = self.unreachable.occurred(Set(candidates), at: now)
        return self.notice(self.unreachableWords, news)
    }

    /// A channel to `agent` stands, if not one that is used.
    mutating func stands(_ agent: String) { self.failures[agent] = nil }

    /// A channel is there to be used. Returns for how long there was none.
    mutating func over(at now: NIODeadline) -> TimeAmount? {
        _ = self.lack.ended(at: now)
        _ = self.unreachable.ended(at: now)
        self.isWanted = false
        defer { self.since = nil }
        return self.since.map { now - $0 }
    }

    private var unreachableWords: String {
        let parts = self.failures.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.latest ?? "")" }
        return "no agent can be reached: \(Self.list(parts, separator: "; "))"
    }

    private mutating func notice(_ words: String, _ news: Trouble<some Hashable>.News?) -> Notice? {
        guard let news else { return nil }
        self.isWanted = false
        switch news {
        case .began: return Notice(message: words, lasting: nil)
        case .lasts(let time): return Notice(message: words, lasting: time)
        }
    }

    private static func list(_ parts: [String], separator: String = ", ") -> String {
        let shown = parts.prefix(Self.namesShown).joined(separator: separator)
        return parts.count > Self.namesShown ? "\(shown) and \(parts.count - Self.namesShown) more" : shown
    }
}
