import AppProto

extension AgentList {
    /// The first agents of the list whose envelope stays within the size that peers accept.
    ///
    /// A registry with many thousand agents does not fit into one message. The list comes in the order of preference, so
    /// what is left out is what clients would choose last.
    func fitting() -> AgentList {
        // The envelope's id, body tag and body length take up to 16 bytes; behind the agents there may be a cursor.
        var room = AppProtoLimits.envelope - 16 - (AppProtoLimits.cursor + 3)
        return AgentList(
            agents: Array(
                self.agents.prefix { agent in
                    room -= Self.fieldSize(agent.encodedSize)
                    return room >= 0
                }))
    }

    /// A submessage of `size` bytes with its tag of one byte and its length, which has 7 bits a byte.
    private static func fieldSize(_ size: Int) -> Int {
        1 + (size < 1 << 7 ? 1 : size < 1 << 14 ? 2 : 3) + size
    }
}
