import Synchronization

/// A client that has channels to this agent, whose limits and rules they share. For any event loop.
final class Client: Sendable {
    let id: ClientID
    /// Where it may go.
    let rules: EgressRules
    private let streamLimit: Atomic<Int>

    /// - Parameter rules: those of the agent, for everybody.
    init(_ id: ClientID, rule: ClientRule?, rules: EgressRules) {
        self.id = id
        self.rules = EgressRules(within: rules, client: rule?.policy)
        self.streamLimit = Atomic(rule?.maximumStreams ?? .max)
    }

    /// How many connections and associations it may have at once by its own line.
    var maximumStreams: Int { self.streamLimit.load(ordering: .relaxed) }

    /// Another line is its now.
    func change(to rule: ClientRule) {
        self.streamLimit.store(rule.maximumStreams ?? .max, ordering: .relaxed)
        self.rules.change(client: rule.policy)
    }
}
