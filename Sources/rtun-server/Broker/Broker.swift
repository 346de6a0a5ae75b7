import AppProto
import NIOCore
import Signaling

/// The decisions of the server: who is registered, who hears what, who may talk to whom.
///
/// A value without sockets or clock. Each method takes one event and returns what is to be done, in order.
struct Broker {
    /// What the caller is to do.
    enum Action: Equatable {
        /// Send an event.
        case send(SessionID, Envelope.Body)
        /// Pass an event on from one end of a channel to the other.
        case passOn(from: SessionID, to: SessionID, Envelope.Body)
        /// Answer a request.
        case respond(SessionID, id: UInt64, Envelope.Body)
        /// Ask the agent, and hand its answer to `openPeerAnswered` together with the ticket.
        case forward(SessionID, OpenPeer, OpenPeerTicket)
        /// The same for a channel that lives; with `restartPeerAnswered`.
        case forwardRestart(SessionID, RestartPeer, RestartPeerTicket)
        /// End the session, after a goodbye if there is one to say. The session is forgotten already.
        case close(SessionID, Goodbye?)
        /// An agent has left the registry; for the log.
        case agentGone(AgentInfo, GoneReason)
        /// An agent has agreed to a client's channel; for the log. `takeEndedRoutes` tells of its end.
        case peerOpened(PeerID, PeerAccount)
    }

    /// What has to be remembered while an agent considers an offer.
    struct OpenPeerTicket: Equatable, Sendable {
        let client: SessionID
        let requestID: UInt64
        let agent: SessionID
        let peerID: PeerID
        let account: PeerAccount
    }

    /// What has to be remembered while an agent considers a restart.
    struct RestartPeerTicket: Equatable, Sendable {
        let client: SessionID
        let requestID: UInt64
        let agent: SessionID
        let peerID: PeerID
        /// What the request has made of the channel's route, to be undone when the agent refuses.
        let route: RouteChange
        /// For a channel that the server did not know (any more).
        let account: PeerAccount

        enum RouteChange: Equatable, Sendable {
            case none
            case added
            case moved(from: PeerRoutes.Former)
        }
    }

    /// How an agent's registration ended.
    enum Registration: Equatable {
        /// Tell the agent with `Welcome`, then perform the actions.
        /// There is a token for an agent that has proved no key.
        case registered(AgentInfo, ResumeToken?, [Action])
        case refused(Goodbye)
    }

    /// What one server takes.
    struct Limits: Sendable {
        var agents = 100_000
        var routesPerClient = 1024
    }

    // Not private for the sake of Broker+Peers.
    var registry: Registry
    var routes: PeerRoutes
    var members: [SessionID: Member] = [:]
    /// Where clients come from.
    private(set) var clientAddresses: [SessionID: String] = [:]
    /// Whether datagrams between peers are carried.
    let bridges: Bool
    var watchers = Watchers()
    /// Who gets in and may use what; nil: who knows the secret, everything.
    var keys: AuthorizedKeys?
    /// Where the names of sessions begin that agents see, so that a restarted server does not use one again.
    let firstStamp: UInt64

    /// Who is behind a session.
    struct Member: Equatable {
        let role: Role
        let key: ProvedKey?
    }

    /// - Parameters:
    ///   - bridges: whether datagrams between peers are carried.
    ///   - keys: who gets in; there are some for good, or none.
    ///   - firstStamp: random outside tests.
    init(
        limits: Limits = Limits(), bridges: Bool = true, keys: AuthorizedKeys? = nil,
        firstStamp: UInt64 = .random(in: .min ... .max)
    ) {
        self.firstStamp = firstStamp
        self.bridges = bridges
        self.keys = keys
        self.registry = Registry(capacity: limits.agents, listsKeys: keys != nil)
        self.routes = PeerRoutes(limitPerClient: limits.routesPerClient)
    }

    /// All agents in the order in which clients prefer them.
    var agents: [AgentInfo] { self.registry.agents }

    /// When `expire` has something to do next, Unix time in milliseconds.
    var nextExpiry: UInt64? { self.registry.nextExpiry }

    // MARK: Sessions

    /// A client has proved the secret, and perhaps a key; it comes from `address`.
    mutating func addClient(_ session: SessionID, key: ProvedKey? = nil, address: String = "") {
        self.members[session] = Member(role: .client, key: key)
        self.clientAddresses[session] = address
    }

    /// An agent has proved the secret; parameters as for `Registry.register`.
    mutating func addAgent(
        _ agent: AgentRegistration, claim: Claim, newID: InstanceID, session: SessionID,
        address: String, software: String, now: Moment
    ) -> Registration {
        let outcome = self.registry.register(
            agent, claim: claim, newID: newID, session: session, address: address, software: software, now: now)
        switch outcome {
        case .registered(let entry, let displaced):
            self.members[session] = Member(role: .agent, key: claim.key)
            let token =
                claim.key == nil
                ? ResumeToken(
                    instanceID: entry.info.instanceID, createdAtMilliseconds: entry.createdAtMilliseconds,
                    expireAtMilliseconds: entry.info.expireAtMilliseconds) : nil
            return .registered(entry.info, token, displaced.map { self.displace($0, by: entry) } ?? [])
        case .superseded:
            return .refused(Goodbye(code: .replaced, reason: "a newer agent is registered as \(agent.name)"))
        case .nameHeld(let key):
            // An older version does not know that code, and would try again for ever.
            let code: GoodbyeCode = claim.key == nil ? .replaced : .nameHeld
            return .refused(
                Goodbye(code: code, reason: "\(agent.name) is registered with another key, which is kept: \(key)"))
        case .expired:
            return .refused(Goodbye(code: .expired, reason: "the registration has ended"))
        case .full:
            return .refused(Goodbye(code: .limit, reason: "this server accepts no more agents"))
        }
    }

    private mutating func displace(_ old: Registry.Entry, by new: Registry.Entry) -> [Action] {
        self.forget(old.session)
        if old.info.instanceID == new.info.instanceID {
            // The same process on a new connection: nobody has gone, and the old connection is dead or about to be.
            return [.close(old.session, nil)]
        }
        let goodbye = Goodbye(code: .replaced, reason: "a newer agent registered as \(old.info.name)")
        return [.close(old.session, goodbye)] + self.announceGone(old, .replaced)
    }

    /// The session's connection is gone; `reason` says how, for those who watch an agent.
    mutating func sessionClosed(_ session: SessionID, _ reason: GoneReason = .disconnected) -> [Action] {
        self.forget(session)
        guard let entry = self.registry.remove(session: session) else { return [] }
        return self.announceGone(entry, reason)
    }

    /// Ends the registrations whose time is over.
    mutating func expire(now: UInt64) -> [Action] {
        var actions: [Action] = []
        for entry in self.registry.removeExpired(now: now) {
            self.forget(entry.session)
            actions.append(.close(entry.session, Goodbye(code: .expired, reason: "the registration has ended")))
            actions += self.announceGone(entry, .expired)
        }
        return actions
    }

    mutating func forget(_ session: SessionID) {
        self.members[session] = nil
        self.clientAddresses[session] = nil
        self.routes.removeAll(of: session)
        self.watchers.remove(client: session)
    }

    mutating func announceGone(_ entry: Registry.Entry, _ reason: GoneReason) -> [Action] {
        let event = AgentGone(name: entry.info.name, instanceID: entry.info.instanceID, reason: reason)
        let watching = self.watchers.removeAll(watching: entry.info)
        return [.agentGone(entry.info, reason)] + watching.map { .send($0, .agentGone(event)) }
    }

    // MARK: Requests and events

    /// A request arrived; its answer is among the actions, or comes with `openPeerAnswered`.
    mutating func received(
        request: Envelope.Body, id: UInt64, from session: SessionID, at now: NIODeadline
    ) -> [Action] {
        guard self.members[session]?.role == .client else {
            return [.fail(session, id: id, .badRequest, "only clients may ask this")]
        }
        switch request {
        case .listAgents(let wish):
            let page = self.registry.page(limit: Int(wish.limit), after: wish.after, where: self.filter(for: session))
            return [.respond(session, id: id, .agentList(page))]
        case .bind(let bind):
            return [self.bind(bind, id: id, from: session)]
        case .openPeer(let offer):
            return [self.open(offer, id: id, from: session, at: now)]
        case .restartPeer(let restart):
            return [self.restart(restart, id: id, from: session, at: now)]
        default:
            return [.fail(session, id: id, .unsupported, "not a request that this server answers")]
        }
    }

    private mutating func bind(_ bind: Bind, id: UInt64, from session: SessionID) -> Action {
        switch self.find(bind.name, bind.instanceID, for: session) {
        case .success(let entry):
            self.watchers.add(client: session, agent: entry.info)
            return .respond(session, id: id, .bound(Bound(agent: entry.info)))
        case .failure(let failure):
            return .respond(session, id: id, .failure(failure))
        }
    }

    /// What the client `session` may not use is as what is not there.
    func find(_ name: String, _ instance: InstanceID?, for session: SessionID) -> Result<Registry.Entry, Failure> {
        guard let entry = self.registry.entry(named: name), self.lets(session, use: name) else {
            return .failure(.notFound(name))
        }
        guard instance == nil || instance == entry.info.instanceID else {
            return .failure(Failure(code: .instanceMismatch, reason: "another instance is registered as \(name)"))
        }
        return .success(entry)
    }

    /// An event arrived. Events about a peer channel go to its other end; all else is ignored, since a later version
    /// may have events that this one does not know.
    mutating func received(event: Envelope.Body, from session: SessionID) -> [Action] {
        switch event {
        case .peerCandidate(let candidate):
            return self.passOn(event, about: candidate.peerID, from: session)
        case .restartWanted(let wanted):
            return self.passOn(event, about: wanted.peerID, from: session)
        case .closePeer(let close):
            guard let counterpart = self.routes.counterpart(of: session, on: close.peerID) else { return [] }
            let byClient = self.members[session]?.role == .client
            self.routes.remove(close.peerID, .closed(byClient: byClient, close.reason))
            return [.passOn(from: session, to: counterpart, event)]
        case .mappingReport(let report):
            self.registry.setMapping(report.mapping, session: session)
            return []
        case .peerKey(let key):
            return self.isClosed(key.fingerprint, to: session)
                ? [.send(session, .keyGone(KeyGone(key.fingerprint)))] : []
        default:
            return []
        }
    }

    private func passOn(_ event: Envelope.Body, about peer: PeerID, from session: SessionID) -> [Action] {
        self.routes.counterpart(of: session, on: peer).map { [.passOn(from: session, to: $0, event)] } ?? []
    }
}

extension Broker.Action {
    static func fail(_ session: SessionID, id: UInt64, _ code: FailureCode, _ reason: String) -> Self {
        .respond(session, id: id, .failure(Failure(code: code, reason: reason)))
    }
}

extension Failure {
    static func notFound(_ name: String) -> Failure {
        Failure(code: .notFound, reason: "no agent is registered as \(name)")
    }
}
