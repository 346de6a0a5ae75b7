import CAppProto

/// The answer to `ListAgents`.
package struct AgentList: Hashable, Sendable {
    package var agents: [AgentInfo]
    /// Where the list goes on, for `ListAgents.after`; empty: this is its end.
    package var next: String

    package init(agents: [AgentInfo], next: String = "") {
        self.agents = agents
        self.next = next
    }
}

extension AgentList: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__AgentList>) { rtun__agent_list__init(pointer) }

    init(_ message: Rtun__AgentList) throws(AppProtoError) {
        // The size of an envelope bounds the count.
        self.agents = try readMessages(message.agents, count: message.n_agents, "agents", limit: .max)
        self.next = try readString(message.next, "next", length: 0...AppProtoLimits.cursor)
    }

    func fill(_ message: inout Rtun__AgentList, _ arena: Arena) {
        message.n_agents = self.agents.count
        message.agents = arena.messages(self.agents)
        message.next = arena.string(self.next)
    }
}
