import AppProto

/// Which clients want to hear when which agent goes.
struct Watchers {
    private var clients: [InstanceID: Set<SessionID>] = [:]
    private var instances: [SessionID: Set<InstanceID>] = [:]

    mutating func add(client: SessionID, instance: InstanceID) {
        self.clients[instance, default: []].insert(client)
        self.instances[client, default: []].insert(instance)
    }

    /// The clients that watch `instance`, which is gone: they are told once.
    mutating func removeAll(watching instance: InstanceID) -> Set<SessionID> {
        let watching = self.clients.removeValue(forKey: instance) ?? []
        for client in watching {
            self.instances[client]?.remove(instance)
            if self.instances[client]?.isEmpty == true { self.instances[client] = nil }
        }
        return watching
    }

    /// Forgets a client that has ended.
    mutating func remove(client: SessionID) {
        for instance in self.instances.removeValue(forKey: client) ?? [] {
            self.clients[instance]?.remove(client)
            if self.clients[instance]?.isEmpty == true { self.clients[instance] = nil }
        }
    }
}
