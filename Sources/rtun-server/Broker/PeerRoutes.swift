import AppProto
import Basics
import FlowLedger
import NIOCore

/// Which client and which agent a peer channel lies between, for as long as both control connections live.
///
/// Only what the two of them say about the channel is passed on, and only to each other.
struct PeerRoutes {
    /// The two ends of a channel.
    struct Ends: Equatable {
        let client: SessionID
        let agent: SessionID
    }

    /// What came of a wish for a route.
    enum Addition: Equatable {
        case added
        /// The id is in use.
        case taken
        /// The client has as many as it may, and all of them carry datagrams.
        case full
    }

    /// What came of a wish for a route that may be there already.
    enum Restart: Equatable {
        /// There was none.
        case added
        /// It is there, with these ends.
        case kept
        /// It was there, with another session of the client, which may be on its way out.
        case moved(from: Former)
        /// It leads to another agent, or comes from another client.
        case taken
        /// As in `Addition`.
        case full
    }

    /// A route as it was before it moved to another session of the client.
    struct Former: Equatable, Sendable {
        fileprivate let route: Route

        var client: SessionID { self.route.client }
    }

    fileprivate struct Route: Equatable {
        var client: SessionID
        /// The key of the client, which the channel is pinned to; nil: it has proved none.
        let key: CertificateFingerprint?
        let agent: SessionID
        let instance: InstanceID
        /// Grows with each route: tells which is the oldest.
        let age: UInt64
        /// Nil until the agent has agreed.
        var account: PeerAccount?
        /// Whether each end takes datagrams through the server.
        var clientBridges: Bool
        var agentBridges = false
        /// When it carried a datagram last.
        var lastCarried: NIODeadline?

        var ends: Ends { Ends(client: self.client, agent: self.agent) }

        func hasCarried(within time: TimeAmount, of now: NIODeadline) -> Bool {
            self.lastCarried.map { now - $0 <= time } ?? false
        }
    }

    /// A route that has carried nothing for this long is not missed: who wants it again asks for it (`RestartPeer`).
    static let quietTime = TimeAmount.seconds(60)

    /// Routes that one client may have. The oldest one that is quiet gives way: it has only served to set a channel up. One
    /// that carries datagrams is the channel's life, and stays.
    private let limitPerClient: Int
    private var routes: [PeerID: Route] = [:]
    private var channels: [SessionID: Set<PeerID>] = [:]
    private var nextAge: UInt64 = 0
    /// What has been taken for the bridge of all channels, in bytes of datagrams; sent is from clients.
    private(set) var carried = FlowTraffic()

    init(limitPerClient: Int) {
        self.limitPerClient = limitPerClient
    }

    /// A route that is no more, or has moved.
    struct Ended: Equatable {
        let peer: PeerID
        /// What waits for these will not get there.
        let ends: Ends
        /// What there is to tell; nil when the channel goes on elsewhere, or the agent had not agreed to it.
        let account: PeerAccount?
        let reason: PeerAccount.End
    }

    /// Of routes that have carried something or had been agreed to; the owner takes them out.
    private(set) var ended: [Ended] = []

    var count: Int { self.routes.count }

    /// Adds a route to the agent that is `instance`.
    mutating func add(
        _ peer: PeerID, client: SessionID, key: ProvedKey? = nil, agent: SessionID, instance: InstanceID,
        bridges: Bool, at now: NIODeadline
    ) -> Addition {
        guard self.routes[peer] == nil else { return .taken }
        guard self.makeRoom(for: client, at: now) else { return .full }
        self.routes[peer] = Route(
            client: client, key: key?.fingerprint, agent: agent, instance: instance, age: self.nextAge,
            clientBridges: bridges)
        self.nextAge += 1
        self.channels[client, default: []].insert(peer)
        self.channels[agent, default: []].insert(peer)
        return .added
    }

    /// Adds a route, or makes one that is there lead to `client`: one who knows the id and the agent is an end of the
    /// channel, and may have come back on another connection before the loss of the old one was noticed. It has the same key
    /// then.
    mutating func restart(
        _ peer: PeerID, client: SessionID, key: ProvedKey? = nil, agent: SessionID, instance: InstanceID,
        bridges: Bool, at now: NIODeadline
    ) -> Restart {
        guard let route = self.routes[peer] else {
            let addition = self.add(
                peer, client: client, key: key, agent: agent, instance: instance, bridges: bridges, at: now)
            return addition == .added ? .added : .full
        }
        guard route.instance == instance, route.agent == agent, route.key == key?.fingerprint else { return .taken }
        self.routes[peer]?.clientBridges = bridges
        guard route.client != client else { return .kept }
        guard self.makeRoom(for: client, at: now) else {
            self.routes[peer]?.clientBridges = route.clientBridges
            return .full
        }
        self.move(peer, to: client)
        return .moved(from: Former(route: route))
    }

    /// Takes a move back: the agent was against it.
    mutating func restore(_ peer: PeerID, _ former: Former) {
        guard self.routes[peer]?.agent == former.route.agent else { return }
        self.move(peer, to: former.route.client)
        self.routes[peer]?.clientBridges = former.route.clientBridges
    }

    private mutating func move(_ peer: PeerID, to client: SessionID) {
        guard let route = self.routes[peer] else { return }
        if route.lastCarried != nil {
            self.ended.append(Ended(peer: peer, ends: route.ends, account: nil, reason: .moved))
        }
        self.routes[peer]?.client = client
        self.forget(peer, of: route.client)
        self.channels[client, default: []].insert(peer)
    }

    /// False when the client has as many routes as it may, and needs all of them.
    private mutating func makeRoom(for client: SessionID, at now: NIODeadline) -> Bool {
        guard let own = self.channels[client], own.count >= self.limitPerClient else { return true }
        let quiet = own.filter { !(self.routes[$0]?.hasCarried(within: Self.quietTime, of: now) ?? false) }
        guard let oldest = quiet.min(by: { self.age(of: $0) < self.age(of: $1) }) else { return false }
        self.remove(oldest, .forgotten)
        return true
    }

    private func age(of peer: PeerID) -> UInt64 {
        self.routes[peer]?.age ?? 0
    }

    /// The agent has said whether it takes datagrams through the server.
    mutating func setAgentBridges(_ peer: PeerID, _ bridges: Bool, agent: SessionID) {
        guard self.routes[peer]?.agent == agent else { return }
        self.routes[peer]?.agentBridges = bridges
    }

    /// The agent has agreed to the channel. Returns false when that is no news, or there is no such route.
    mutating func agreed(_ peer: PeerID, _ account: PeerAccount, agent: SessionID) -> Bool {
        guard let route = self.routes[peer], route.agent == agent, route.account == nil else { return false }
        self.routes[peer]?.account = account
        return true
    }

    /// Where datagrams of the channel go that `session` has sent, if both ends want that. `size`: of all of them, in bytes.
    mutating func carry(_ peer: PeerID, size: Int, from session: SessionID, at now: NIODeadline) -> Bridging {
        guard let index = self.routes.index(forKey: peer) else { return .noRoute }
        let route = self.routes.values[index]
        guard session == route.client || session == route.agent else { return .noRoute }
        guard route.clientBridges, route.agentBridges else { return .notAllowed }
        self.routes.values[index].lastCarried = now
        let isOut = session == route.client
        if isOut { self.carried.sent &+= UInt64(size) } else { self.carried.received &+= UInt64(size) }
        self.routes.values[index].account?.carried(size, isOut: isOut)
        return .carry(to: isOut ? route.agent : route.client)
    }

    /// One channel, for the status.
    struct Listed: Sendable {
        let peer: PeerID
        let agent: SessionID
        let account: PeerAccount
        let lastCarried: NIODeadline?
    }

    /// Channels that their agents have agreed to, at most `limit`, the oldest first. Which ones is left open where there are
    /// more: to look at all would take too long.
    func listed(_ limit: Int) -> [Listed] {
        let agreed = self.routes.lazy.filter { $0.value.account != nil }.prefix(limit)
        return agreed.sorted { $0.value.age < $1.value.age }.compactMap { peer, route in
            route.account.map { Listed(peer: peer, agent: route.agent, account: $0, lastCarried: route.lastCarried) }
        }
    }

    /// The channels that a session is an end of.
    func all(of session: SessionID) -> [(peer: PeerID, ends: Ends)] {
        (self.channels[session] ?? []).compactMap { peer in self.routes[peer].map { (peer, $0.ends) } }
    }

    /// How many channels a session is an end of.
    func count(of session: SessionID) -> Int { self.channels[session]?.count ?? 0 }

    /// How many channels have had datagrams carried within `time`.
    func bridgedCount(within time: TimeAmount, of now: NIODeadline) -> Int {
        self.routes.values.count { $0.hasCarried(within: time, of: now) }
    }

    /// Forgets what `ended` tells.
    mutating func takeEnded() -> [Ended] {
        defer { self.ended = [] }
        return self.ended
    }

    /// The other end of the channel, when `session` is one of its ends.
    func counterpart(of session: SessionID, on peer: PeerID) -> SessionID? {
        guard let route = self.routes[peer] else { return nil }
        if route.client == session { return route.agent }
        return route.agent == session ? route.client : nil
    }

    mutating func remove(_ peer: PeerID, _ reason: PeerAccount.End) {
        guard let route = self.routes.removeValue(forKey: peer) else { return }
        if route.lastCarried != nil || route.account != nil {
            self.ended.append(Ended(peer: peer, ends: route.ends, account: route.account, reason: reason))
        }
        self.forget(peer, of: route.client)
        self.forget(peer, of: route.agent)
    }

    private mutating func forget(_ peer: PeerID, of session: SessionID) {
        self.channels[session]?.remove(peer)
        if self.channels[session]?.isEmpty == true { self.channels[session] = nil }
    }

    /// Forgets all routes.
    mutating func removeAll(_ reason: PeerAccount.End) {
        for peer in self.routes.keys { self.remove(peer, reason) }
    }

    /// Forgets the routes of a session that has ended.
    mutating func removeAll(of session: SessionID) {
        for peer in self.channels[session] ?? [] {
            self.remove(peer, self.routes[peer]?.client == session ? .clientLeft : .agentLeft)
        }
    }
}
