import CAppProto

/// The answer to `ListAgents`.
package struct AgentList: Hashable, Sendable {
    package var agents: [AgentInfo]

    package init(agents: [AgentInfo]) {
        self.agents = agents
    }
}

extension AgentList: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__AgentList>) { rtun__agent_list__init(pointer) }

    init(_ message: Rtun__AgentList) throws(AppProtoError) {
        // The size of an envelope bounds the count.
        self.agents = try readMessages(message.agents, count: message.n_agents, "agents", limit: .max)
    }

    func fill(_ message: inout Rtun__AgentList, _ arena: Arena) {
        message.n_agents = self.agents.count
        message.agents = arena.messages(self.agents)
    }
}
