import AppProto

extension AgentList {
    /// The first agents of the list whose envelope stays within the size that peers accept.
    ///
    /// A registry with many thousand agents does not fit into one message. The list comes in the order of preference, so
    /// what is left out is what clients would choose last.
    func fitting() -> AgentList {
        // Two bytes for the field and up to three for the length of each agent; some more for the envelope.
        var room = AppProtoLimits.envelope - 64
        return AgentList(
            agents: Array(
                self.agents.prefix { agent in
                    room -= agent.encodedSize + 5
                    return room >= 0
                }))
    }
}
