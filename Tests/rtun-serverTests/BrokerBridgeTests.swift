import AppProto
import NIOCore
import Testing

@testable import rtun_server

/// Who may send datagrams to whom, and what a restart does to a channel's route.
@Suite struct BrokerBridgeTests {
    private static let ids = ["a", "b"].compactMap { InstanceID(rawValue: String(repeating: $0, count: 32)) }
    private let agent = SessionID(1)
    private let otherAgent = SessionID(2)
    private let client = SessionID(3)
    private let again = SessionID(4)
    private let stranger = SessionID(5)
    private let now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let peer = PeerID.random()

    /// Two agents, a client, the session with which it comes back, and somebody else.
    private func broker(bridges: Bool = true, routesPerClient: Int = 1024) -> Broker {
        var broker = Broker(limits: .init(agents: 10, routesPerClient: routesPerClient), bridges: bridges)
        for (session, name, id) in [(self.agent, "egress", Self.ids[0]), (self.otherAgent, "other", Self.ids[1])] {
            _ = broker.addAgent(
                AgentRegistration(name: name), claim: .nothing, newID: id, session: session, address: "", software: "",
                now: .at(1))
        }
        for session in [self.client, self.again, self.stranger] { broker.addClient(session) }
        return broker
    }

    private func offer(_ peer: PeerID? = nil, bridge: Bool = true) -> OpenPeer {
        var offer = OpenPeer(
            peerID: peer ?? self.peer, name: "egress", instanceID: Self.ids[0],
            ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"),
            fingerprint: Array(repeating: 1, count: 32), kind: .quicTunnel)
        offer.bridge = bridge
        return offer
    }

    private func restart(name: String = "egress", id: InstanceID = ids[0], bridge: Bool = true) -> RestartPeer {
        var restart = RestartPeer(
            peerID: self.peer, name: name, instanceID: id, generation: 1, ice: self.offer().ice)
        restart.bridge = bridge
        return restart
    }

    private func reply(bridge: Bool = true) -> RestartPeerReply {
        var reply = RestartPeerReply(peerID: self.peer, generation: 1, ice: self.offer().ice)
        reply.bridge = bridge
        return reply
    }

    @discardableResult
    private func open(
        _ broker: inout Broker, _ offer: OpenPeer, agentBridges: Bool = true, from session: SessionID? = nil,
        at time: NIODeadline? = nil
    ) throws -> Broker.Action {
        let action = try #require(
            broker.received(
                request: .openPeer(offer), id: 1, from: session ?? self.client, at: time ?? self.now
            ).first)
        guard case .forward(_, _, let ticket) = action else { return action }
        var reply = OpenPeerReply(peerID: offer.peerID, ice: offer.ice, fingerprint: offer.fingerprint)
        reply.bridge = agentBridges
        return try #require(broker.openPeerAnswered(ticket, .success(reply)).first)
    }

    private func requestRestart(
        _ broker: inout Broker, _ restart: RestartPeer, from session: SessionID
    ) throws -> Broker.RestartPeerTicket {
        let action = broker.received(request: .restartPeer(restart), id: 9, from: session, at: self.now).first
        guard case .forwardRestart(self.agent, restart, let ticket)? = action else {
            throw NotForwarded(action: action)
        }
        return ticket
    }

    private struct NotForwarded: Error {
        let action: Broker.Action?
    }

    private func failure(_ actions: [Broker.Action]) -> FailureCode? {
        guard case .respond(_, _, .failure(let failure))? = actions.first else { return nil }
        return failure.code
    }

    // MARK: Carrying

    @Test func `datagrams pass between the two ends of an open channel`() throws {
        var broker = self.broker()
        try self.open(&broker, self.offer())
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .carry(to: self.agent))
        #expect(broker.bridge(self.peer, from: self.agent, at: self.now) == .carry(to: self.client))
        #expect(broker.bridgedCount(within: .seconds(10), of: self.now + .seconds(10)) == 1)
        #expect(broker.bridgedCount(within: .seconds(10), of: self.now + .seconds(11)) == 0)
    }

    @Test func `only datagrams of the two ends of a channel pass`() throws {
        var broker = self.broker()
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .noRoute)
        try self.open(&broker, self.offer())
        for session in [self.stranger, self.otherAgent, self.again, SessionID(99)] {
            #expect(broker.bridge(self.peer, from: session, at: self.now) == .noRoute)
        }
        #expect(broker.bridge(.random(), from: self.client, at: self.now) == .noRoute)
        _ = broker.received(event: .closePeer(ClosePeer(peerID: self.peer)), from: self.agent)
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .noRoute)
    }

    @Test func `no datagram passes before the agent has agreed`() throws {
        var broker = self.broker()
        _ = broker.received(request: .openPeer(self.offer()), id: 1, from: self.client, at: self.now)
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .notAllowed)
        #expect(broker.bridge(self.peer, from: self.agent, at: self.now) == .notAllowed)
    }

    @Test(arguments: [(true, false), (false, true), (false, false)])
    func `no datagrams pass if one end does not want them`(
        clientBridges: Bool, agentBridges: Bool
    ) throws {
        var broker = self.broker()
        try self.open(&broker, self.offer(bridge: clientBridges), agentBridges: agentBridges)
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .notAllowed)
        #expect(broker.bridge(self.peer, from: self.agent, at: self.now) == .notAllowed)
    }

    @Test func `a server without a bridge relays nothing`() throws {
        var broker = self.broker(bridges: false)
        try self.open(&broker, self.offer())
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .notAllowed)
    }

    @Test func `a session that ends takes its channels with it, and says which`() throws {
        for ending in [self.client, self.agent] {
            var broker = self.broker()
            try self.open(&broker, self.offer())
            #expect(broker.takeEndedRoutes().isEmpty)
            _ = broker.bridge(self.peer, from: self.client, at: self.now)
            _ = broker.sessionClosed(ending)
            #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .noRoute)
            let ended = broker.takeEndedRoutes()
            #expect(ended.map(\.peer) == [self.peer])
            #expect(ended.map(\.ends) == [PeerRoutes.Ends(client: self.client, agent: self.agent)])
            #expect(broker.takeEndedRoutes().isEmpty)
        }
    }

    // MARK: Bounds

    @Test func `routes in use do not give way to new ones`() throws {
        var broker = self.broker(routesPerClient: 3)
        let bridged = PeerID.random()
        try self.open(&broker, self.offer(bridged))
        for second in 0..<50 as Range<Int64> {
            let time = self.now + .seconds(second)
            #expect(broker.bridge(bridged, from: self.client, at: time) == .carry(to: self.agent))
            guard case .respond(_, _, .openPeerReply) = try self.open(&broker, self.offer(.random()), at: time) else {
                Issue.record("refused")
                return
            }
        }
        #expect(broker.routes.count == 3)
    }

    @Test func `a new channel is refused while all routes are in use`() throws {
        var broker = self.broker(routesPerClient: 3)
        let bridged = [PeerID.random(), .random(), .random()]
        for peer in bridged {
            try self.open(&broker, self.offer(peer))
            _ = broker.bridge(peer, from: self.agent, at: self.now)
        }
        let late = self.now + PeerRoutes.quietTime
        let refused = try self.open(&broker, self.offer(.random()), at: late)
        #expect(self.failure([refused]) == .refused)
        // Another client is not concerned.
        guard
            case .respond(_, _, .openPeerReply) = try self.open(
                &broker, self.offer(.random()), from: self.stranger, at: late)
        else {
            Issue.record("refused")
            return
        }
        for peer in bridged.dropFirst() { _ = broker.bridge(peer, from: self.agent, at: late) }
        guard
            case .respond(_, _, .openPeerReply) = try self.open(
                &broker, self.offer(.random()), at: late + .milliseconds(1))
        else {
            Issue.record("still refused")
            return
        }
        #expect(broker.bridge(bridged[0], from: self.client, at: late) == .noRoute)
        #expect(broker.bridge(bridged[1], from: self.client, at: late) == .carry(to: self.agent))
    }

    // MARK: Restarts

    @Test func `a restart brings a lost route back`() throws {
        var broker = self.broker()
        let ticket = try self.requestRestart(&broker, self.restart(), from: self.again)
        #expect(broker.bridge(self.peer, from: self.again, at: self.now) == .notAllowed)
        #expect(
            broker.restartPeerAnswered(ticket, .success(self.reply()))
                == [
                    .respond(self.again, id: 9, .restartPeerReply(self.reply())),
                    .peerOpened(self.peer, ticket.account),
                ])
        #expect(broker.bridge(self.peer, from: self.again, at: self.now) == .carry(to: self.agent))
        #expect(broker.bridge(self.peer, from: self.agent, at: self.now) == .carry(to: self.again))
        let candidate = Envelope.Body.peerCandidate(PeerCandidate(endOfCandidatesOf: self.peer))
        #expect(
            broker.received(event: candidate, from: self.agent) == [
                .passOn(from: self.agent, to: self.again, candidate)
            ])
    }

    @Test func `a restart does not interrupt an existing route`() throws {
        var broker = self.broker()
        try self.open(&broker, self.offer())
        let ticket = try self.requestRestart(&broker, self.restart(), from: self.client)
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .carry(to: self.agent))
        let refusal = Failure(code: .refused, reason: "")
        #expect(
            broker.restartPeerAnswered(ticket, .failure(refusal)) == [.respond(self.client, id: 9, .failure(refusal))])
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .carry(to: self.agent))
    }

    @Test func `a client that comes back before its old session has ended takes its channel along`() throws {
        var broker = self.broker()
        try self.open(&broker, self.offer())
        _ = broker.bridge(self.peer, from: self.client, at: self.now)
        let ticket = try self.requestRestart(&broker, self.restart(), from: self.again)
        // What waits for the old session will not get there.
        #expect(broker.takeEndedRoutes().map(\.ends) == [PeerRoutes.Ends(client: self.client, agent: self.agent)])
        _ = broker.restartPeerAnswered(ticket, .success(self.reply()))
        #expect(broker.bridge(self.peer, from: self.agent, at: self.now) == .carry(to: self.again))
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .noRoute)
        // The end of the old session changes nothing.
        _ = broker.sessionClosed(self.client)
        #expect(broker.bridge(self.peer, from: self.again, at: self.now) == .carry(to: self.agent))
    }

    @Test func `a refusal removes only a route that its request has made`() throws {
        let refusal = Failure(code: .refused, reason: "")
        var made = self.broker()
        let first = try self.requestRestart(&made, self.restart(), from: self.client)
        _ = made.restartPeerAnswered(first, .failure(refusal))
        #expect(made.routes.count == 0)

        var moved = self.broker()
        try self.open(&moved, self.offer())
        let second = try self.requestRestart(&moved, self.restart(bridge: false), from: self.stranger)
        _ = moved.restartPeerAnswered(second, .failure(refusal))
        #expect(moved.bridge(self.peer, from: self.client, at: self.now) == .carry(to: self.agent))
        #expect(moved.bridge(self.peer, from: self.stranger, at: self.now) == .noRoute)

        var orphaned = self.broker()
        try self.open(&orphaned, self.offer())
        let third = try self.requestRestart(&orphaned, self.restart(), from: self.again)
        _ = orphaned.sessionClosed(self.client)
        _ = orphaned.restartPeerAnswered(third, .failure(refusal))
        #expect(orphaned.routes.count == 0)
    }

    @Test func `an answer for another channel is ignored`() throws {
        var broker = self.broker()
        let ticket = try self.requestRestart(&broker, self.restart(), from: self.client)
        var reply = self.reply()
        reply.peerID = .random()
        #expect(self.failure(broker.restartPeerAnswered(ticket, .success(reply))) == .internal)
        #expect(broker.routes.count == 0)
    }

    @Test(arguments: [3, 4, 5] as [UInt64]) func `a channel cannot be led to another agent`(session: UInt64) throws {
        var broker = self.broker()
        try self.open(&broker, self.offer())
        let stolen = self.restart(name: "other", id: Self.ids[1])
        let actions = broker.received(request: .restartPeer(stolen), id: 9, from: SessionID(session), at: self.now)
        #expect(self.failure(actions) == .badRequest)
        #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .carry(to: self.agent))
        #expect(broker.bridge(self.peer, from: self.otherAgent, at: self.now) == .noRoute)
    }

    @Test func `a restart at a missing agent fails with a code that says why`() throws {
        var broker = self.broker()
        for (name, id, code) in [
            ("nobody", Self.ids[0], FailureCode.notFound), ("egress", Self.ids[1], .instanceMismatch),
        ] {
            let actions = broker.received(
                request: .restartPeer(self.restart(name: name, id: id)), id: 9, from: self.client, at: self.now)
            #expect(self.failure(actions) == code)
        }
        let fromAgent = broker.received(request: .restartPeer(self.restart()), id: 9, from: self.agent, at: self.now)
        #expect(self.failure(fromAgent) == .badRequest)
        #expect(broker.routes.count == 0)
    }

    @Test func `each end can stop the datagrams with a restart`() throws {
        for (clientBridges, agentBridges) in [(false, true), (true, false)] {
            var broker = self.broker()
            try self.open(&broker, self.offer())
            let ticket = try self.requestRestart(&broker, self.restart(bridge: clientBridges), from: self.client)
            _ = broker.restartPeerAnswered(ticket, .success(self.reply(bridge: agentBridges)))
            #expect(broker.bridge(self.peer, from: self.client, at: self.now) == .notAllowed)
        }
    }

    // MARK: Events

    @Test func `only the agent's wish for a restart reaches the client`() throws {
        var broker = self.broker()
        try self.open(&broker, self.offer())
        let wish = Envelope.Body.restartWanted(RestartWanted(peerID: self.peer))
        #expect(broker.received(event: wish, from: self.agent) == [.passOn(from: self.agent, to: self.client, wish)])
        #expect(broker.received(event: wish, from: self.otherAgent) == [])
        #expect(broker.received(event: wish, from: self.stranger) == [])
    }

    @Test func `lists show the NAT that an agent reports, and a client cannot report one`() throws {
        var broker = self.broker()
        let report = Envelope.Body.mappingReport(MappingReport(mapping: .addressDependent))
        #expect(broker.received(event: report, from: self.client) == [])
        #expect(broker.received(event: report, from: self.agent) == [])
        #expect(broker.agents.map(\.mapping) == [.addressDependent, .unknown])
        _ = broker.sessionClosed(self.otherAgent)
        #expect(broker.received(event: report, from: self.otherAgent) == [])
        #expect(broker.agents.map(\.mapping) == [.addressDependent])
    }
}
