import Basics
import AppProto
import NIOCore
import Signaling
import Testing

@testable import rtun_server

@Suite struct BrokerTests {
    private let first = SessionID(1)
    private let second = SessionID(2)
    private let client = SessionID(10)
    private let stranger = SessionID(11)
    private let now: UInt64 = 1_700_000_000_000

    private static let ids = ["a", "b", "c"].compactMap { InstanceID(rawValue: String(repeating: $0, count: 32)) }

    /// Registers an agent that is expected to be welcome.
    @discardableResult
    private func register(
        _ broker: inout Broker, _ session: SessionID, name: String = "egress", id: InstanceID = ids[0],
        expireIn: UInt64 = 0, resuming: ResumeToken? = nil, at now: UInt64? = nil
    ) throws -> (AgentInfo, ResumeToken, [Broker.Action]) {
        let registration = broker.addAgent(
            AgentRegistration(name: name, expireInMilliseconds: expireIn),
            claim: resuming.map { .token($0) } ?? .nothing, newID: id,
            session: session, address: "192.0.2.1:1", software: "rtun-agent/test", now: .at(now ?? self.now))
        guard case .registered(let info, let token?, let actions) = registration else {
            throw Unexpected(registration: registration)
        }
        return (info, token, actions)
    }

    private struct Unexpected: Error {
        let registration: Broker.Registration
    }

    private func offer(to agent: AgentInfo, peerID: PeerID = .random()) -> OpenPeer {
        OpenPeer(
            peerID: peerID, name: agent.name, instanceID: agent.instanceID,
            ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"),
            fingerprint: Array(repeating: 1, count: 32),
            kind: .quicTunnel)
    }

    private func reply(to offer: OpenPeer) -> OpenPeerReply {
        OpenPeerReply(peerID: offer.peerID, ice: offer.ice, fingerprint: offer.fingerprint)
    }

    /// Registers an agent and a client, and has an offer forwarded.
    private func openedPeer(
        _ broker: inout Broker
    ) throws -> (offer: OpenPeer, ticket: Broker.OpenPeerTicket) {
        let agent = try self.register(&broker, self.first).0
        broker.addClient(self.client)
        let offer = self.offer(to: agent)
        guard
            case .forward(self.first, var forwarded, let ticket)? = broker.received(
                request: .openPeer(offer), id: 7, from: self.client
            ).first
        else { throw Mistake.notForwarded }
        #expect(forwarded.client?.key == nil && forwarded.client != nil)
        forwarded.client = nil
        #expect(forwarded == offer)
        return (offer, ticket)
    }

    private enum Mistake: Error {
        case notForwarded
    }

    // MARK: Registration

    @Test func `a client sees a registered agent and binds it`() throws {
        var broker = Broker()
        let agent = try self.register(&broker, self.first).0
        broker.addClient(self.client)
        #expect(
            broker.received(request: .listAgents(), id: 1, from: self.client)
                == [.respond(self.client, id: 1, .agentList(AgentList(agents: [agent])))])
        #expect(
            broker.received(request: .bind(Bind(name: "egress")), id: 2, from: self.client)
                == [.respond(self.client, id: 2, .bound(Bound(agent: agent)))])
    }

    @Test func `the list comes in pages, in the order of preference, whatever happens between them`() throws {
        var broker = Broker()
        broker.addClient(self.client)
        for number in 0..<50 {
            let registration = AgentRegistration(
                name: "agent\(number)", expireInMilliseconds: UInt64(number % 7) * 1000)
            _ = broker.addAgent(
                registration, claim: .nothing, newID: .random(), session: SessionID(UInt64(100 + number)), address: "",
                software: "", now: .at(1_000_000))
        }
        func page(_ limit: UInt32, _ after: String) throws -> AgentList {
            let actions = broker.received(
                request: .listAgents(ListAgents(limit: limit, after: after)), id: 1, from: self.client)
            guard case .respond(_, _, .agentList(let list))? = actions.first else { throw Mistake.notForwarded }
            return list
        }
        // A client of 0.1 asks for all at once.
        let all = try page(0, "")
        #expect(all.agents.map(\.name) == broker.agents.map(\.name) && all.next.isEmpty)
        var names: [String] = []
        var cursor = ""
        repeat {
            let part = try page(8, cursor)
            #expect(part.agents.count <= 8)
            names += part.agents.map(\.name)
            cursor = part.next
            // The last one of the page goes; the list goes on behind it all the same.
            if names.count == 16 {
                let number = try #require(part.agents.last.flatMap { UInt64($0.name.dropFirst(5)) })
                _ = broker.sessionClosed(SessionID(100 + number))
            }
        } while !cursor.isEmpty
        #expect(names == all.agents.map(\.name))
        #expect(try page(8, "no cursor at all").agents.count == 8)
    }

    @Test func `the list says what an agent reports of its NAT, and nobody reports for another`() throws {
        var broker = Broker()
        try self.register(&broker, self.first)
        broker.addClient(self.client)
        let reports: [(SessionID, MappingBehavior, listed: MappingBehavior)] = [
            (self.client, .udpBlocked, listed: .unknown), (self.second, .udpBlocked, listed: .unknown),
            (self.first, .endpointIndependent, listed: .endpointIndependent), (self.first, .none, listed: .none),
        ]
        for (session, mapping, listed) in reports {
            #expect(broker.received(event: .mappingReport(MappingReport(mapping: mapping)), from: session) == [])
            #expect(broker.agents.map(\.mapping) == [listed])
        }
    }

    @Test func `an agent that leaves is announced to those who bound it, once`() throws {
        var broker = Broker()
        let agent = try self.register(&broker, self.first).0
        broker.addClient(self.client)
        broker.addClient(self.stranger)
        _ = broker.received(request: .bind(Bind(name: "egress")), id: 2, from: self.client)
        let gone = AgentGone(name: "egress", instanceID: agent.instanceID, reason: .disconnected)
        #expect(
            broker.sessionClosed(self.first) == [
                .agentGone(agent, .disconnected), .send(self.client, .agentGone(gone)),
            ])
        #expect(broker.sessionClosed(self.first) == [])
        #expect(broker.agents == [])
    }

    @Test func `those who bound an agent hear that it has said goodbye`() throws {
        var broker = Broker()
        let agent = try self.register(&broker, self.first).0
        broker.addClient(self.client)
        _ = broker.received(request: .bind(Bind(name: "egress")), id: 2, from: self.client)
        let gone = AgentGone(name: "egress", instanceID: agent.instanceID, reason: .stopped)
        #expect(
            broker.sessionClosed(self.first, .stopped) == [
                .agentGone(agent, .stopped), .send(self.client, .agentGone(gone)),
            ])
    }

    @Test func `of two processes with one name the newer wins`() throws {
        var broker = Broker()
        let old = try self.register(&broker, self.first, id: Self.ids[0]).0
        broker.addClient(self.client)
        _ = broker.received(request: .bind(Bind(name: "egress")), id: 2, from: self.client)
        let (new, _, actions) = try self.register(&broker, self.second, id: Self.ids[1])
        #expect(
            actions == [
                .close(self.first, Goodbye(code: .replaced, reason: "a newer agent registered as egress")),
                .agentGone(old, .replaced),
                .send(
                    self.client, .agentGone(AgentGone(name: "egress", instanceID: old.instanceID, reason: .replaced))),
            ])
        // The end of the old connection does not take the new registration with it.
        #expect(broker.sessionClosed(self.first) == [])
        #expect(broker.agents == [new])
    }

    @Test func `a process that reconnects keeps its instance id, and nobody is told`() throws {
        var broker = Broker()
        let (agent, token, _) = try self.register(&broker, self.first)
        broker.addClient(self.client)
        _ = broker.received(request: .bind(Bind(name: "egress")), id: 2, from: self.client)
        let (resumed, _, actions) = try self.register(&broker, self.second, id: Self.ids[1], resuming: token)
        #expect(resumed.instanceID == agent.instanceID)
        // No goodbye on the old connection: the process might still read it, and would take itself for replaced.
        #expect(actions == [.close(self.first, nil)])
    }

    @Test func `a restarted server gives the name to the newer instance, whoever comes first`() throws {
        var before = Broker()
        let old = try self.register(&before, self.first, id: Self.ids[0]).1
        let new = try self.register(&before, self.second, id: Self.ids[1]).1

        for oldComesFirst in [true, false] {
            var after = Broker()
            if oldComesFirst { try self.register(&after, self.first, id: Self.ids[2], resuming: old) }
            try self.register(&after, self.second, id: Self.ids[2], resuming: new)
            let again = after.addAgent(
                AgentRegistration(name: "egress"), claim: .token(old), newID: Self.ids[2], session: SessionID(3),
                address: "", software: "", now: .at(self.now))
            guard case .refused(let goodbye) = again else {
                Issue.record("the older instance took its name back")
                continue
            }
            #expect(goodbye.code == .replaced)
            #expect(after.agents.map(\.instanceID) == [new.instanceID])
        }
    }

    @Test func `two instances of one millisecond are still told apart`() throws {
        var broker = Broker()
        let old = try self.register(&broker, self.first, id: Self.ids[0]).1
        let new = try self.register(&broker, self.second, id: Self.ids[1]).1
        #expect(new.createdAtMilliseconds > old.createdAtMilliseconds)
    }

    @Test func `a registration expires in time, also if it was resumed`() throws {
        var broker = Broker()
        let token = try self.register(&broker, self.first, expireIn: 3000).1
        let resumed = try self.register(&broker, self.second, expireIn: 3000, resuming: token, at: self.now + 1000).0
        #expect(resumed.expireAtMilliseconds == self.now + 3000)
        #expect(broker.nextExpiry == self.now + 3000)
        #expect(broker.expire(now: self.now + 2999) == [])
        #expect(
            broker.expire(now: self.now + 3000) == [
                .close(self.second, Goodbye(code: .expired, reason: "the registration has ended")),
                .agentGone(resumed, .expired),
            ])
        #expect(broker.nextExpiry == nil)
        let late = broker.addAgent(
            AgentRegistration(name: "egress"), claim: .token(token), newID: Self.ids[1], session: self.first,
            address: "", software: "", now: .at(self.now + 4000))
        #expect(late == .refused(Goodbye(code: .expired, reason: "the registration has ended")))
    }

    @Test func `a time beyond what the wire can say counts as never`() throws {
        var broker = Broker()
        #expect(try self.register(&broker, self.first, expireIn: .max).0.expireAtMilliseconds == 0)
    }

    @Test func `agents that never expire come first, then the latest expiry`() throws {
        var broker = Broker()
        for (index, expireIn) in [(1, 5000), (2, 0), (3, 9000)] as [(UInt64, UInt64)] {
            try self.register(&broker, SessionID(index), name: "agent\(index)", expireIn: expireIn)
        }
        #expect(broker.agents.map(\.name) == ["agent2", "agent3", "agent1"])
    }

    @Test func `a full server turns further agents away`() throws {
        var broker = Broker(limits: Broker.Limits(agents: 1, routesPerClient: 1))
        try self.register(&broker, self.first)
        let refused = broker.addAgent(
            AgentRegistration(name: "other"), claim: .nothing, newID: Self.ids[1], session: self.second, address: "",
            software: "", now: .at(self.now))
        #expect(refused == .refused(Goodbye(code: .limit, reason: "this server accepts no more agents")))
        // The name it has can still change hands.
        try self.register(&broker, self.second, id: Self.ids[1])
    }

    // MARK: Requests

    @Test func `a missing name or instance fails with a code that says which`() throws {
        var broker = Broker()
        let agent = try self.register(&broker, self.first).0
        broker.addClient(self.client)
        #expect(
            broker.received(request: .bind(Bind(name: "nobody")), id: 1, from: self.client)
                == [
                    .respond(
                        self.client, id: 1,
                        .failure(Failure(code: .notFound, reason: "no agent is registered as nobody")))
                ])
        let mismatch = Failure(code: .instanceMismatch, reason: "another instance is registered as egress")
        #expect(
            broker.received(request: .bind(Bind(name: "egress", instanceID: Self.ids[2])), id: 2, from: self.client)
                == [.respond(self.client, id: 2, .failure(mismatch))])
        var offer = self.offer(to: agent)
        offer.instanceID = Self.ids[2]
        #expect(
            broker.received(request: .openPeer(offer), id: 3, from: self.client)
                == [.respond(self.client, id: 3, .failure(mismatch))])
    }

    @Test func `agents may not ask what clients ask`() throws {
        var broker = Broker()
        try self.register(&broker, self.first)
        #expect(
            broker.received(request: .listAgents(), id: 1, from: self.first)
                == [
                    .respond(
                        self.first, id: 1, .failure(Failure(code: .badRequest, reason: "only clients may ask this")))
                ])
    }

    // MARK: Peer channels

    @Test func `an offer reaches the agent, and its answer the client`() throws {
        var broker = Broker()
        let (offer, ticket) = try self.openedPeer(&broker)
        #expect(
            broker.openPeerAnswered(ticket, .success(self.reply(to: offer)))
                == [
                    .respond(self.client, id: 7, .openPeerReply(self.reply(to: offer))),
                    .peerOpened(offer.peerID, ticket.account),
                ])
    }

    @Test func `candidates pass only between the two ends of a channel`() throws {
        var broker = Broker()
        let (offer, ticket) = try self.openedPeer(&broker)
        _ = broker.openPeerAnswered(ticket, .success(self.reply(to: offer)))
        broker.addClient(self.stranger)
        let candidate = Envelope.Body.peerCandidate(PeerCandidate(endOfCandidatesOf: offer.peerID))
        #expect(
            broker.received(event: candidate, from: self.client) == [
                .passOn(from: self.client, to: self.first, candidate)
            ])
        #expect(
            broker.received(event: candidate, from: self.first) == [
                .passOn(from: self.first, to: self.client, candidate)
            ])
        #expect(broker.received(event: candidate, from: self.stranger) == [])
        let close = Envelope.Body.closePeer(ClosePeer(peerID: offer.peerID))
        #expect(broker.received(event: close, from: self.stranger) == [])
        #expect(broker.received(event: close, from: self.first) == [.passOn(from: self.first, to: self.client, close)])
        #expect(broker.received(event: candidate, from: self.client) == [])
    }

    @Test func `a peer id in use cannot be taken over`() throws {
        var broker = Broker()
        let (offer, _) = try self.openedPeer(&broker)
        broker.addClient(self.stranger)
        #expect(
            broker.received(request: .openPeer(offer), id: 1, from: self.stranger)
                == [
                    .respond(
                        self.stranger, id: 1, .failure(Failure(code: .badRequest, reason: "the peer id is in use")))
                ])
    }

    @Test func `a client that loses its control connection does not close its channels`() throws {
        var broker = Broker()
        let (offer, ticket) = try self.openedPeer(&broker)
        _ = broker.openPeerAnswered(ticket, .success(self.reply(to: offer)))
        #expect(broker.sessionClosed(self.client) == [])
    }

    @Test func `an answer whose client is gone ends the channel at the agent`() throws {
        var broker = Broker()
        let (offer, ticket) = try self.openedPeer(&broker)
        _ = broker.sessionClosed(self.client)
        #expect(
            broker.openPeerAnswered(ticket, .success(self.reply(to: offer)))
                == [.send(self.first, .closePeer(ClosePeer(peerID: offer.peerID, reason: "the client is gone")))])
    }

    @Test func `an agent's refusal reaches the client and frees the peer id`() throws {
        var broker = Broker()
        let (offer, ticket) = try self.openedPeer(&broker)
        let refusal = Failure(code: .refused, reason: "too many peers")
        #expect(
            broker.openPeerAnswered(ticket, .failure(refusal)) == [.respond(self.client, id: 7, .failure(refusal))])
        guard case .forward? = broker.received(request: .openPeer(offer), id: 8, from: self.client).first else {
            Issue.record("the id is still taken")
            return
        }
    }

    @Test func `an agent that is too slow to answer is told so`() throws {
        var broker = Broker()
        let (offer, ticket) = try self.openedPeer(&broker)
        let failure = Failure(code: .timedOut, reason: "")
        #expect(
            broker.openPeerAnswered(ticket, .failure(failure)) == [
                .respond(self.client, id: 7, .failure(failure)),
                .send(self.first, .closePeer(ClosePeer(peerID: offer.peerID, reason: "answered too late"))),
            ])
    }

    @Test func `an answer for another peer is not passed on`() throws {
        var broker = Broker()
        let (offer, ticket) = try self.openedPeer(&broker)
        var reply = self.reply(to: offer)
        reply.peerID = .random()
        guard
            case .respond(self.client, id: 7, .failure(let failure))? = broker.openPeerAnswered(ticket, .success(reply))
                .first
        else {
            Issue.record("passed on")
            return
        }
        #expect(failure.code == .internal)
    }

    @Test func `a client's oldest channel gives way if it has too many`() throws {
        var broker = Broker(limits: Broker.Limits(agents: 10, routesPerClient: 2))
        let agent = try self.register(&broker, self.first).0
        broker.addClient(self.client)
        let offers = (0..<3).map { _ in self.offer(to: agent) }
        for offer in offers { _ = broker.received(request: .openPeer(offer), id: 1, from: self.client) }
        let reached = offers.map { offer in
            broker.received(event: .peerCandidate(PeerCandidate(endOfCandidatesOf: offer.peerID)), from: self.client)
                .count
        }
        #expect(reached == [0, 1, 1])
    }

    @Test func `a list that is too long for one message is cut`() throws {
        let agents = (0..<5000).map { index in
            AgentInfo(
                name: "agent-\(index)", instanceID: .random(), address: "192.0.2.1:1", software: "rtun-agent/test")
        }
        let fitting = AgentList(agents: agents).fitting()
        #expect(fitting.agents.count > 1000)
        #expect(fitting.agents.elementsEqual(agents.prefix(fitting.agents.count)))
        let size = Envelope(id: .max, .agentList(fitting)).encoded().readableBytes
        #expect((AppProtoLimits.envelope - 1024...AppProtoLimits.envelope).contains(size))
        #expect(AgentList(agents: Array(agents.prefix(10))).fitting().agents.count == 10)
    }
}

extension Moment {
    /// Both clocks show the same.
    static func at(_ milliseconds: UInt64) -> Moment {
        Moment(unixMilliseconds: milliseconds, deadline: .uptimeNanoseconds(milliseconds * 1_000_000))
    }
}

extension Broker {
    /// At a time when nothing has happened yet.
    fileprivate mutating func received(request: Envelope.Body, id: UInt64, from session: SessionID) -> [Action] {
        self.received(request: request, id: id, from: session, at: .uptimeNanoseconds(1))
    }
}
