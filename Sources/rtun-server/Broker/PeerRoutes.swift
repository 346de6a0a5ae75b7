import AppProto

/// Which client and which agent a peer channel lies between, for as long as both control connections live.
///
/// Only what the two of them say about the channel is passed on, and only to each other.
struct PeerRoutes {
    private struct Route {
        let client: SessionID
        let agent: SessionID
        /// Grows with each route: tells which is the oldest.
        let age: UInt64
    }

    /// Routes that one client may have; the oldest gives way. A route only serves to set a channel up.
    private let limitPerClient: Int
    private var routes: [PeerID: Route] = [:]
    private var channels: [SessionID: Set<PeerID>] = [:]
    private var nextAge: UInt64 = 0

    init(limitPerClient: Int) {
        self.limitPerClient = limitPerClient
    }

    var count: Int { self.routes.count }

    /// Adds a route. False when the id is in use.
    mutating func add(_ peer: PeerID, client: SessionID, agent: SessionID) -> Bool {
        guard self.routes[peer] == nil else { return false }
        if let own = self.channels[client], own.count >= self.limitPerClient,
            let oldest = own.min(by: { self.age(of: $0) < self.age(of: $1) })
        {
            self.remove(oldest)
        }
        self.routes[peer] = Route(client: client, agent: agent, age: self.nextAge)
        self.nextAge += 1
        self.channels[client, default: []].insert(peer)
        self.channels[agent, default: []].insert(peer)
        return true
    }

    private func age(of peer: PeerID) -> UInt64 {
        self.routes[peer]?.age ?? 0
    }

    /// The other end of the channel, when `session` is one of its ends.
    func counterpart(of session: SessionID, on peer: PeerID) -> SessionID? {
        guard let route = self.routes[peer] else { return nil }
        if route.client == session { return route.agent }
        return route.agent == session ? route.client : nil
    }

    mutating func remove(_ peer: PeerID) {
        guard let route = self.routes.removeValue(forKey: peer) else { return }
        for session in [route.client, route.agent] {
            self.channels[session]?.remove(peer)
            if self.channels[session]?.isEmpty == true { self.channels[session] = nil }
        }
    }

    /// Forgets the routes of a session that has ended.
    mutating func removeAll(of session: SessionID) {
        for peer in self.channels[session] ?? [] { self.remove(peer) }
    }
}
