import AppProto

/// Which clients want to hear when which agent goes.
struct Watchers {
    /// A registration. Nothing keeps a process from having several names.
    private struct Holder: Hashable {
        let name: String
        let instance: InstanceID

        init(_ agent: AgentInfo) {
            self.name = agent.name
            self.instance = agent.instanceID
        }
    }

    private var clients: [Holder: Set<SessionID>] = [:]
    private var holders: [SessionID: Set<Holder>] = [:]

    mutating func add(client: SessionID, agent: AgentInfo) {
        self.clients[Holder(agent), default: []].insert(client)
        self.holders[client, default: []].insert(Holder(agent))
    }

    /// The clients that watch `agent`, which is gone: they are told once.
    mutating func removeAll(watching agent: AgentInfo) -> Set<SessionID> {
        let holder = Holder(agent)
        let watching = self.clients.removeValue(forKey: holder) ?? []
        for client in watching {
            self.holders[client]?.remove(holder)
            if self.holders[client]?.isEmpty == true { self.holders[client] = nil }
        }
        return watching
    }

    /// A client may not use `agent` any more. Returns whether it has watched it.
    mutating func remove(client: SessionID, watching agent: AgentInfo) -> Bool {
        let holder = Holder(agent)
        guard self.clients[holder]?.remove(client) != nil else { return false }
        if self.clients[holder]?.isEmpty == true { self.clients[holder] = nil }
        self.holders[client]?.remove(holder)
        if self.holders[client]?.isEmpty == true { self.holders[client] = nil }
        return true
    }

    /// Forgets a client that has ended.
    mutating func remove(client: SessionID) {
        for holder in self.holders.removeValue(forKey: client) ?? [] {
            self.clients[holder]?.remove(client)
            if self.clients[holder]?.isEmpty == true { self.clients[holder] = nil }
        }
    }
}
