import AppProto
import NIOCore
import Testing

@testable import rtun_server

/// Who used which agent, as the server's log tells it.
@Suite struct PeerAccountTests {
    private let agent = SessionID(1)
    private let client = SessionID(2)
    private let again = SessionID(3)
    private let peer = PeerID.random()
    private let instance = InstanceID.random()
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func broker(routesPerClient: Int = 10) -> Broker {
        var broker = Broker(limits: .init(agents: 10, routesPerClient: routesPerClient))
        _ = broker.addAgent(
            AgentRegistration(name: "egress"), claim: .nothing, newID: self.instance, session: self.agent,
            address: "192.0.2.1:1", software: "", now: .at(1))
        broker.addClient(self.client, address: "198.51.100.7:5000")
        broker.addClient(self.again, address: "198.51.100.7:5001")
        return broker
    }

    private func offer(_ peer: PeerID, _ kind: OpenPeer.Kind?) -> OpenPeer {
        var offer = OpenPeer(
            peerID: peer, name: "egress", instanceID: self.instance,
            ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"),
            fingerprint: Array(repeating: 1, count: 32), kind: kind)
        offer.bridge = true
        return offer
    }

    /// The account that the broker tells of when the agent agrees.
    private func open(
        _ broker: inout Broker, _ peer: PeerID? = nil, _ kind: OpenPeer.Kind? = .quicTunnel
    ) throws -> PeerAccount {
        let offer = self.offer(peer ?? self.peer, kind)
        let actions = broker.received(request: .openPeer(offer), id: 1, from: self.client, at: self.start)
        guard case .forward(_, _, let ticket)? = actions.first else { throw Mistake.notForwarded }
        var reply = OpenPeerReply(peerID: offer.peerID, ice: offer.ice, fingerprint: offer.fingerprint)
        reply.bridge = true
        for case .peerOpened(offer.peerID, let account) in broker.openPeerAnswered(ticket, .success(reply)) {
            return account
        }
        throw Mistake.notTold
    }

    private enum Mistake: Error {
        case notForwarded, notTold
    }

    @Test func `an opened channel says who uses which agent, and for what`() throws {
        var broker = self.broker()
        let account = try self.open(&broker)
        let tunnel = account.openedMetadata(self.peer)
        #expect(tunnel["client"] == "198.51.100.7:5000")
        #expect(tunnel["session"]?.description == "2")
        #expect(tunnel["agent"] == "egress")
        #expect(tunnel["kind"] == "tunnel")
        #expect(tunnel["event"] == "peer.opened")
        let target = try SocketAddress(ipAddress: "2001:db8::1", port: 53)
        let relay = UdpRelay(target: target, idleTimeout: .seconds(1), maximumPayload: nil)
        let other = PeerID.random()
        let metadata = try self.open(&broker, other, .udpRelay(relay)).openedMetadata(other)
        #expect(metadata["kind"] == "relay")
        #expect(metadata["target"] == "[2001:db8::1]:53")
    }

    @Test func `a closed channel says what was carried, for how long, and who closed it`() throws {
        for byClient in [true, false] {
            var broker = self.broker()
            _ = try self.open(&broker)
            _ = broker.bridge(self.peer, size: 1000, from: self.client, at: self.start)
            _ = broker.bridge(self.peer, size: 1, from: self.client, at: self.start)
            _ = broker.bridge(self.peer, size: 70_000, from: self.agent, at: self.start)
            _ = broker.bridge(self.peer, size: 9, from: self.again, at: self.start)
            _ = broker.received(
                event: .closePeer(ClosePeer(peerID: self.peer, reason: "enough")),
                from: byClient ? self.client : self.agent)
            let ended = try #require(broker.takeEndedRoutes().first)
            let metadata = try #require(ended.account).closedMetadata(
                ended.peer, ended.reason, at: self.start + .milliseconds(61_900))
            #expect(metadata["event"] == "peer.closed")
            #expect(metadata["bridged_out"]?.description == "1001")
            #expect(metadata["bridged_in"]?.description == "70000")
            #expect(metadata["bridged_bytes"]?.description == "71001")
            #expect(metadata["seconds"]?.description == "61")
            #expect(metadata["reason"] == "closed by the \(byClient ? "client" : "agent"): enough")
            // Numbers in JSON.
            for key in ["bridged_out", "bridged_in", "bridged_bytes", "seconds", "session"] {
                guard case .stringConvertible? = metadata[key] else { Issue.record("\(key)"); continue }
            }
        }
    }

    @Test func `every end of a channel is told once, with its reason`() throws {
        let endings: [(PeerAccount.End, (inout Broker) -> Void)] = [
            (.clientLeft, { _ = $0.sessionClosed(self.client) }),
            (.agentLeft, { _ = $0.sessionClosed(self.agent) }),
            (.serverStops, { $0.endAllRoutes() }),
        ]
        for (reason, end) in endings {
            var broker = self.broker()
            _ = try self.open(&broker)
            end(&broker)
            let ended = broker.takeEndedRoutes()
            #expect(ended.map(\.reason) == [reason])
            #expect(ended.first?.account?.agent == "egress")
            broker.endAllRoutes()
            #expect(broker.takeEndedRoutes().isEmpty)
        }
        var crowded = self.broker(routesPerClient: 1)
        _ = try self.open(&crowded)
        _ = try self.open(&crowded, .random())
        #expect(crowded.takeEndedRoutes().map(\.reason) == [.forgotten])
    }

    @Test func `an offer that the agent refuses is nobody's use of it`() throws {
        var broker = self.broker()
        let actions = broker.received(
            request: .openPeer(self.offer(self.peer, .quicTunnel)), id: 1, from: self.client, at: self.start)
        guard case .forward(_, _, let ticket)? = actions.first else { throw Mistake.notForwarded }
        let answered = broker.openPeerAnswered(ticket, .failure(Failure(code: .refused, reason: "full")))
        #expect(!answered.contains { if case .peerOpened = $0 { true } else { false } })
        #expect(broker.takeEndedRoutes().isEmpty)
    }

    @Test func `a channel whose client comes back is told of anew, one that goes on is not`() throws {
        var broker = self.broker()
        _ = try self.open(&broker)
        func restart(_ session: SessionID) throws -> [Broker.Action] {
            var restart = RestartPeer(
                peerID: self.peer, name: "egress", instanceID: self.instance, generation: 1,
                ice: self.offer(self.peer, nil).ice)
            restart.bridge = true
            let actions = broker.received(request: .restartPeer(restart), id: 9, from: session, at: self.start)
            guard case .forwardRestart(_, _, let ticket)? = actions.first else { throw Mistake.notForwarded }
            var reply = RestartPeerReply(peerID: self.peer, generation: 1, ice: restart.ice)
            reply.bridge = true
            return broker.restartPeerAnswered(ticket, .success(reply))
        }
        #expect(try restart(self.client).count == 1)
        _ = broker.sessionClosed(self.client)
        #expect(broker.takeEndedRoutes().map(\.reason) == [.clientLeft])
        guard case .peerOpened(self.peer, let account)? = try restart(self.again).last else { throw Mistake.notTold }
        #expect(account.client == "198.51.100.7:5001")
        #expect(account.openedMetadata(self.peer)["kind"] == nil)
    }

    @Test func `the words of an end are cut`() {
        let words = PeerAccount.End.closed(byClient: true, String(repeating: "x", count: 1000)).description
        #expect(words.count < 250)
    }
}
