import Basics
import NIOCore

/// The agents that a client refuses for their keys, and what has been told of each: at once, and every five minutes while it
/// lasts. A value without a clock.
struct AgentKeyTrouble {
    private struct Refused {
        var latest: AgentKeyRefusal
        /// Whether that is how it stands: the server has not listed it with a good key since.
        var isCurrent = true
        var trouble = Trouble<AgentKeyRefusal>()
    }

    /// So many are remembered, and told of, at most.
    private static let maximumAgents = 256

    /// By the agent's name.
    private var agents: [String: Refused] = [:]

    var isEmpty: Bool { self.agents.isEmpty }

    /// One of those that stand refused, a changed key before an unknown one.
    var first: AgentKeyRefusal? {
        self.agents.values.filter(\.isCurrent).map(\.latest).min { one, other in
            (one.expected == nil ? 1 : 0, one.agent) < (other.expected == nil ? 1 : 0, other.agent)
        }
    }

    /// An agent is refused (again). Returns what there is to tell.
    mutating func refused(_ refusal: AgentKeyRefusal, at now: NIODeadline) -> Trouble<AgentKeyRefusal>.News? {
        guard self.agents.count < Self.maximumAgents || self.agents[refusal.agent] != nil else { return nil }
        self.agents[refusal.agent, default: Refused(latest: refusal)].latest = refusal
        self.agents[refusal.agent]?.isCurrent = true
        return self.agents[refusal.agent]?.trouble.occurred(refusal, at: now)
    }

    /// An agent may be asked (again), by the word of the server. What has been told of it is remembered, since that is only a
    /// word.
    mutating func listed(_ name: String) { self.agents[name]?.isCurrent = false }

    /// An agent is there that is not refused, or is not there any more.
    mutating func ended(_ name: String) { self.agents[name] = nil }

    /// Only these are registered.
    mutating func keep(only names: Set<String>) { self.agents = self.agents.filter { names.contains($0.key) } }

    /// Whether nobody is left to hope for: all that are registered are refused, and no other agent that is known can come.
    ///
    /// - Parameters:
    ///   - registered: those that the client would use by their names.
    ///   - known: the same of those that have a known key.
    func isHopeless(registered: Set<String>, known: Set<String>) -> Bool {
        guard !registered.isEmpty, registered.allSatisfy({ self.agents[$0]?.isCurrent == true }) else { return false }
        return known.subtracting(registered.map { KnownAgents.inFile($0) }).isEmpty
    }
}
