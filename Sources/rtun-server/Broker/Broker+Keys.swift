import AppProto
import Basics

/// Who gets in, and who may use whom, by the keys that are listed.
extension Broker {
    static let withdrawn = "the server's --authorized-keys does not allow it any more"

    /// Whether only listed keys get in.
    var listsKeys: Bool { self.keys != nil }

    /// Why a peer does not get in; nil when it does.
    func refusal(of peer: PeerClaim) -> KeyRefusal? { self.keys?.refusal(of: peer) }

    /// Whether the client `session` may use the agent of that name.
    func lets(_ session: SessionID, use name: String) -> Bool {
        guard let keys = self.keys else { return true }
        return self.key(of: session).map { keys.lets($0, use: name) } ?? false
    }

    /// What a list for the client `session` leaves out; nil: nothing.
    func filter(for session: SessionID) -> ((String) -> Bool)? {
        guard let keys = self.keys else { return nil }
        guard let key = self.key(of: session) else { return { _ in false } }
        return keys.letsUseAll(key) ? nil : { keys.lets(key, use: $0) }
    }

    /// Whether a peer has to give up the channels that it says it has with the holder of `key`: it was away when the right to
    /// them went.
    func isClosed(_ key: CertificateFingerprint, to session: SessionID) -> Bool {
        guard let keys = self.keys, let member = self.members[session], let own = member.key?.fingerprint else {
            return false
        }
        switch member.role {
        case .client: return !keys.lets(own, useAgentWith: key)
        case .agent: return !(self.registry.name(of: session).map { keys.lets(key, use: $0) } ?? false)
        }
    }

    private func key(of session: SessionID) -> CertificateFingerprint? { self.members[session]?.key?.fingerprint }

    /// The agent has answered an offer that the client may not make any more.
    mutating func withdrawn(_ ticket: OpenPeerTicket) -> [Action] {
        self.routes.remove(ticket.peerID, .withdrawn)
        return [
            .send(ticket.agent, .closePeer(ClosePeer(peerID: ticket.peerID, reason: Self.withdrawn))),
            .respond(ticket.client, id: ticket.requestID, .failure(.notFound(ticket.account.agent))),
        ]
    }

    // MARK: Other keys

    /// Goes by `keys` from now on: ends the sessions and channels that they do not allow.
    ///
    /// Both ends of a channel are told, so that it ends also where the server has no part in it. Of a channel from before one
    /// of them lost its control connection the server knows nothing: so all that stay are asked whom they have channels with.
    mutating func change(to keys: AuthorizedKeys) -> [Action] {
        guard let before = self.keys else { return [] }
        self.keys = keys
        var actions: [Action] = []
        for (session, member) in self.members.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            switch member.role {
            case .agent: actions += self.reconsider(agent: session, member, keys)
            case .client: actions += self.reconsider(client: session, member, keys, before)
            }
        }
        return actions + self.members.keys.sorted { $0.rawValue < $1.rawValue }.map { .send($0, .askPeerKeys) }
    }

    private mutating func reconsider(agent session: SessionID, _ member: Member, _ keys: AuthorizedKeys) -> [Action] {
        guard let name = self.registry.name(of: session),
            let refusal = keys.refusal(of: PeerClaim(role: .agent(name: name), key: member.key))
        else { return [] }
        let closed = self.routes.all(of: session).map { route in
            self.routes.remove(route.peer, .withdrawn)
            return Self.close(route.peer, at: route.ends.client)
        }
        self.forget(session)
        let gone = self.registry.remove(session: session).map { self.announceGone($0, .removed) } ?? []
        return gone + closed + [.close(session, refusal.goodbye)]
    }

    private mutating func reconsider(
        client session: SessionID, _ member: Member, _ keys: AuthorizedKeys, _ before: AuthorizedKeys
    ) -> [Action] {
        guard let key = member.key?.fingerprint, keys.differs(from: before, for: key) else { return [] }
        let lost = self.registry.all.filter { entry in
            before.lets(key, use: entry.info.name) && !keys.lets(key, use: entry.info.name)
        }.sorted { $0.session.rawValue < $1.session.rawValue }
        let agents = Set(lost.map(\.session))
        var closed: [Action] = []
        for route in self.routes.all(of: session) where agents.contains(route.ends.agent) {
            self.routes.remove(route.peer, .withdrawn)
            closed += [Self.close(route.peer, at: route.ends.agent), Self.close(route.peer, at: session)]
        }
        guard let refusal = keys.refusal(of: PeerClaim(role: .client, key: member.key)) else {
            return lost.compactMap { self.withdraw($0.info, from: session) } + closed
        }
        self.forget(session)
        return closed + [.close(session, refusal.goodbye)]
    }

    /// A client that goes on may not use this agent any more: as far as it has watched it, it is gone.
    private mutating func withdraw(_ agent: AgentInfo, from session: SessionID) -> Action? {
        guard self.watchers.remove(client: session, watching: agent) else { return nil }
        return .send(
            session, .agentGone(AgentGone(name: agent.name, instanceID: agent.instanceID, reason: .removed)))
    }

    private static func close(_ peer: PeerID, at session: SessionID) -> Action {
        .send(session, .closePeer(ClosePeer(peerID: peer, reason: Self.withdrawn)))
    }
}
