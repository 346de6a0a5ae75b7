import CAppProto

/// A client's request for the registered agents, those first that clients prefer.
package struct ListAgents: Hashable, Sendable {
    /// Most agents in the answer; 0: as many as fit one message.
    package var limit: UInt32
    /// `next` of the answer before, at most 512 bytes; empty: from the first on.
    package var after: String

    package init(limit: UInt32 = 0, after: String = "") {
        self.limit = limit
        self.after = after
    }
}

extension ListAgents: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__ListAgents>) { rtun__list_agents__init(pointer) }

    init(_ message: Rtun__ListAgents) throws(AppProtoError) {
        self.limit = message.limit
        self.after = try readString(message.after, "after", length: 0...AppProtoLimits.cursor)
    }

    func fill(_ message: inout Rtun__ListAgents, _ arena: Arena) {
        message.limit = self.limit
        message.after = arena.string(self.after)
    }
}
