import AppProto
import NIOCore

/// Peer channels: how they come about, and what passes between their ends.
extension Broker {
    private static let tooManyRoutes = "too many channels of this client go through the server"

    // MARK: Opening

    /// A client offers a channel.
    mutating func open(_ offer: OpenPeer, id: UInt64, from session: SessionID, at now: NIODeadline) -> Action {
        let key = self.members[session]?.key
        guard self.isOwn(offer.fingerprint, session) else {
            return .fail(session, id: id, .badRequest, "the offer names another key than this connection has proved")
        }
        // What the client has written there is thrown away.
        var offer = offer
        offer.client = ClientStamp(session: session.stamp(from: self.firstStamp), key: key)
        switch self.find(offer.name, offer.instanceID, for: session) {
        case .success(let entry):
            let addition = self.routes.add(
                offer.peerID, client: session, key: key, agent: entry.session, instance: entry.info.instanceID,
                bridges: offer.bridge, at: now)
            switch addition {
            case .added:
                let ticket = OpenPeerTicket(
                    client: session, requestID: id, agent: entry.session, peerID: offer.peerID,
                    account: self.account(session, entry, offer.kind, at: now))
                return .forward(entry.session, offer, ticket)
            case .taken:
                return .fail(session, id: id, .badRequest, "the peer id is in use")
            case .full:
                return .fail(session, id: id, .refused, Self.tooManyRoutes)
            }
        case .failure(let failure):
            return .respond(session, id: id, .failure(failure))
        }
    }

    /// Whether a fingerprint in an offer or answer is that of the key which the session has proved. Without one, anything is.
    private func isOwn(_ fingerprint: [UInt8], _ session: SessionID) -> Bool {
        self.members[session]?.key.map { $0.fingerprint.bytes == fingerprint } ?? true
    }

    /// What came of a forwarded offer: the agent's answer, or why there is none.
    mutating func openPeerAnswered(_ ticket: OpenPeerTicket, _ answer: Result<OpenPeerReply, Failure>) -> [Action] {
        switch answer {
        case .success(let reply) where reply.peerID == ticket.peerID:
            guard self.isOwn(reply.fingerprint, ticket.agent) else {
                self.routes.remove(ticket.peerID, .refused)
                let close = ClosePeer(peerID: ticket.peerID, reason: "the answer names another key than is proved")
                return [
                    .fail(ticket.client, id: ticket.requestID, .internal, "the agent's answer names another key"),
                    .send(ticket.agent, .closePeer(close)),
                ]
            }
            guard self.members[ticket.client] != nil else {
                // The answer has nobody to go to, so the channel will never be used.
                return [.send(ticket.agent, .closePeer(ClosePeer(peerID: ticket.peerID, reason: "the client is gone")))]
            }
            guard self.lets(ticket.client, use: ticket.account.agent) else { return self.withdrawn(ticket) }
            self.routes.setAgentBridges(ticket.peerID, reply.bridge, agent: ticket.agent)
            return [.respond(ticket.client, id: ticket.requestID, .openPeerReply(reply))]
                + self.agreed(ticket.peerID, ticket.account, agent: ticket.agent)
        case .success:
            self.routes.remove(ticket.peerID, .refused)
            return [.fail(ticket.client, id: ticket.requestID, .internal, "the agent answered for another peer")]
        case .failure(let failure):
            self.routes.remove(ticket.peerID, .refused)
            let answer = Action.respond(ticket.client, id: ticket.requestID, .failure(failure))
            guard failure.code == .timedOut else { return [answer] }
            // A late answer will be ignored; the agent need not wait for a client that has given up.
            let close = ClosePeer(peerID: ticket.peerID, reason: "answered too late")
            return [answer, .send(ticket.agent, .closePeer(close))]
        }
    }

    private func account(
        _ client: SessionID, _ entry: Registry.Entry, _ kind: OpenPeer.Kind?, at now: NIODeadline
    ) -> PeerAccount {
        PeerAccount(
            client: self.clientAddresses[client] ?? "", session: client, agent: entry.info.name, kind: kind, since: now)
    }

    private mutating func agreed(_ peer: PeerID, _ account: PeerAccount, agent: SessionID) -> [Action] {
        self.routes.agreed(peer, account, agent: agent) ? [.peerOpened(peer, account)] : []
    }

    // MARK: Restarting

    /// A client wants a new ICE session for a channel, or the route of one back.
    mutating func restart(
        _ restart: RestartPeer, id: UInt64, from session: SessionID, at now: NIODeadline
    ) -> Action {
        switch self.find(restart.name, restart.instanceID, for: session) {
        case .success(let entry):
            let change: RestartPeerTicket.RouteChange
            switch self.routes.restart(
                restart.peerID, client: session, key: self.members[session]?.key, agent: entry.session,
                instance: entry.info.instanceID, bridges: restart.bridge, at: now)
            {
            case .added: change = .added
            case .kept: change = .none
            case .moved(let former): change = .moved(from: former)
            case .taken: return .fail(session, id: id, .badRequest, "the peer id belongs to another channel")
            case .full: return .fail(session, id: id, .refused, Self.tooManyRoutes)
            }
            let ticket = RestartPeerTicket(
                client: session, requestID: id, agent: entry.session, peerID: restart.peerID, route: change,
                account: self.account(session, entry, nil, at: now))
            return .forwardRestart(entry.session, restart, ticket)
        case .failure(let failure):
            return .respond(session, id: id, .failure(failure))
        }
    }

    /// What came of a forwarded restart. The channel may well live on without it, so neither a failure nor the loss of the
    /// client ends it at the agent.
    mutating func restartPeerAnswered(
        _ ticket: RestartPeerTicket, _ answer: Result<RestartPeerReply, Failure>
    ) -> [Action] {
        switch answer {
        case .success(let reply) where reply.peerID == ticket.peerID:
            guard self.lets(ticket.client, use: ticket.account.agent) else {
                // The channel was closed along with the right to it.
                return [.respond(ticket.client, id: ticket.requestID, .failure(.notFound(ticket.account.agent)))]
            }
            self.routes.setAgentBridges(ticket.peerID, reply.bridge, agent: ticket.agent)
            return [.respond(ticket.client, id: ticket.requestID, .restartPeerReply(reply))]
                + self.agreed(ticket.peerID, ticket.account, agent: ticket.agent)
        case .success:
            self.undo(ticket)
            return [.fail(ticket.client, id: ticket.requestID, .internal, "the agent answered for another peer")]
        case .failure(let failure):
            self.undo(ticket)
            return [.respond(ticket.client, id: ticket.requestID, .failure(failure))]
        }
    }

    /// A route that is there because of the request goes with it; one that was there before is as it was.
    private mutating func undo(_ ticket: RestartPeerTicket) {
        // Somebody else may have moved it since.
        guard self.routes.counterpart(of: ticket.client, on: ticket.peerID) == ticket.agent else { return }
        switch ticket.route {
        case .none: break
        case .added: self.routes.remove(ticket.peerID, .refused)
        case .moved(let former):
            if self.members[former.client] != nil {
                self.routes.restore(ticket.peerID, former)
            } else {
                self.routes.remove(ticket.peerID, .refused)
            }
        }
    }

    // MARK: The bridge

    /// Where datagrams of a channel go that `session` has sent.
    mutating func bridge(
        _ peer: PeerID, size: Int = 0, from session: SessionID, at now: NIODeadline
    ) -> Bridging {
        guard self.bridges else { return .notAllowed }
        return self.routes.carry(peer, size: size, from: session, at: now)
    }

    /// What has ended or moved since the last time, of the routes that were of any use.
    mutating func takeEndedRoutes() -> [PeerRoutes.Ended] {
        self.routes.takeEnded()
    }

    /// The server stops: `takeEndedRoutes` has what there is to tell of all channels.
    mutating func endAllRoutes() { self.routes.removeAll(.serverStops) }

    /// How many channels have had datagrams carried within `time`.
    func bridgedCount(within time: TimeAmount, of now: NIODeadline) -> Int {
        self.routes.bridgedCount(within: time, of: now)
    }
}
