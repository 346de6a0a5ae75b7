import AppProto
import Basics
import NIOCore
import Signaling
import Testing

@testable import rtun_server

/// Who sees and reaches whom with `--authorized-keys`, and what ends when the file changes.
@Suite struct BrokerKeysTests {
    private static let start: UInt64 = 1_700_000_000_000
    private static let file = """
        agent office K1
        agent home K2
        agent lab K3
        client K4
        client K5 agents=office
        client K6 agents=home|lab
        """

    private static func proved(_ number: UInt8) throws -> ProvedKey {
        ProvedKey(fingerprint: try AuthorizedKeysTests.key(number), isKept: true)
    }

    private let everything = SessionID(14)
    private let officeOnly = SessionID(15)
    private let others = SessionID(16)
    private let office = SessionID(1)
    private let home = SessionID(2)
    private let lab = SessionID(3)

    /// Three agents, and three clients with different rights.
    private func broker() throws -> Broker {
        var broker = Broker(keys: try AuthorizedKeysTests.keys(Self.file))
        for (session, name) in [(self.office, "office"), (self.home, "home"), (self.lab, "lab")] {
            let key = try Self.proved(UInt8(session.rawValue))
            let claim = Claim.key(
                key, AgentProcess(nonce: [UInt8](repeating: 1, count: 16), aliveMilliseconds: 1000))
            let outcome = broker.addAgent(
                AgentRegistration(name: name), claim: claim, newID: .random(), session: session, address: "",
                software: "", now: .at(Self.start))
            guard case .registered = outcome else { throw Mistake.notRegistered }
        }
        for session in [self.everything, self.officeOnly, self.others] {
            broker.addClient(session, key: try Self.proved(UInt8(session.rawValue - 10)))
        }
        return broker
    }

    private enum Mistake: Error {
        case notRegistered, notForwarded
    }

    private func names(_ broker: inout Broker, _ session: SessionID, limit: UInt32 = 0) -> [[String]] {
        var pages: [[String]] = []
        var cursor = ""
        repeat {
            let wish = ListAgents(limit: limit, after: cursor)
            guard
                case .respond(_, _, .agentList(let list))? = broker.received(
                    request: .listAgents(wish), id: 1, from: session
                ).first
            else { return [] }
            pages.append(list.agents.map(\.name))
            cursor = list.next
        } while !cursor.isEmpty
        return pages
    }

    private func info(_ broker: Broker, _ name: String) throws -> AgentInfo {
        try #require(broker.agents.first { $0.name == name })
    }

    private func offer(_ broker: Broker, to name: String, from number: UInt8) throws -> OpenPeer {
        OpenPeer(
            peerID: .random(), name: name, instanceID: try self.info(broker, name).instanceID,
            ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"),
            fingerprint: try AuthorizedKeysTests.key(number).bytes, kind: .quicTunnel)
    }

    /// Offers a channel, and returns what the agent is asked.
    private func forwarded(
        _ broker: inout Broker, to name: String, from session: SessionID
    ) throws -> (OpenPeer, Broker.OpenPeerTicket) {
        let offer = try self.offer(broker, to: name, from: UInt8(session.rawValue - 10))
        guard
            case .forward(_, let forwarded, let ticket)? = broker.received(
                request: .openPeer(offer), id: 7, from: session
            ).first
        else { throw Mistake.notForwarded }
        return (forwarded, ticket)
    }

    /// Opens a channel that both ends have agreed to.
    private func open(_ broker: inout Broker, to name: String, from session: SessionID) throws -> PeerID {
        let (offer, ticket) = try self.forwarded(&broker, to: name, from: session)
        _ = broker.openPeerAnswered(ticket, .success(try self.answer(to: offer, ticket)))
        return offer.peerID
    }

    private func answer(to offer: OpenPeer, _ ticket: Broker.OpenPeerTicket) throws -> OpenPeerReply {
        OpenPeerReply(
            peerID: offer.peerID, ice: offer.ice,
            fingerprint: try AuthorizedKeysTests.key(UInt8(ticket.agent.rawValue)).bytes)
    }

    // MARK: Who sees whom

    @Test func `a client sees its agents, on pages of any size`() throws {
        var broker = try self.broker()
        #expect(self.names(&broker, self.everything) == [["home", "lab", "office"]])
        #expect(self.names(&broker, self.officeOnly) == [["office"]])
        #expect(self.names(&broker, self.others, limit: 1) == [["home"], ["lab"]])
        #expect(self.names(&broker, self.everything, limit: 2) == [["home", "lab"], ["office"]])
        #expect(self.names(&broker, self.others, limit: 2) == [["home", "lab"]])
        #expect(broker.agents.allSatisfy { $0.isKeyListed })
        broker.addClient(SessionID(19), key: try Self.proved(9))
        #expect(self.names(&broker, SessionID(19)) == [[]])
    }

    @Test func `what a client may not use answers as what is not there`() throws {
        var broker = try self.broker()
        func answers(_ name: String, _ instance: InstanceID) throws -> [[Broker.Action]] {
            var offer = try self.offer(broker, to: "home", from: 5)
            offer.name = name
            offer.instanceID = instance
            let restart = RestartPeer(
                peerID: offer.peerID, name: name, instanceID: instance, generation: 1, ice: offer.ice)
            return [
                .bind(Bind(name: name)), .bind(Bind(name: name, instanceID: instance)), .openPeer(offer),
                .restartPeer(restart),
            ].map { (request: Envelope.Body) in broker.received(request: request, id: 7, from: self.officeOnly) }
        }
        for instance in [try self.info(broker, "home").instanceID, .random()] {
            let hidden = try answers("home", instance)
            #expect(hidden.allSatisfy { $0 == [.respond(self.officeOnly, id: 7, .failure(.notFound("home")))] })
            let missing = try answers("nobody", instance)
            #expect(missing.allSatisfy { $0 == [.respond(self.officeOnly, id: 7, .failure(.notFound("nobody")))] })
        }
        #expect(broker.routes.count == 0)
        // Nothing is heard of it either.
        #expect(!broker.sessionClosed(self.home).contains { $0.receiver == self.officeOnly })
    }

    // MARK: Other keys

    private func change(_ broker: inout Broker, without lines: String..., adding: String = "") throws -> [Broker.Action]
    {
        let kept = Self.file.split(separator: "\n").filter { line in !lines.contains { line == $0 } }
        return broker.change(to: try AuthorizedKeysTests.keys((kept + [adding[...]]).joined(separator: "\n")))
    }

    private func question(_ sessions: SessionID...) -> [Broker.Action] { sessions.map { .send($0, .askPeerKeys) } }

    private func close(_ peer: PeerID, at session: SessionID) -> Broker.Action {
        .send(session, .closePeer(ClosePeer(peerID: peer, reason: Broker.withdrawn)))
    }

    @Test func `the same rules change nothing, and all are asked whom they have channels with`() throws {
        var broker = try self.broker()
        _ = try self.open(&broker, to: "office", from: self.officeOnly)
        #expect(
            try self.change(&broker, adding: "agent new K9")
                == self.question(self.office, self.home, self.lab, self.everything, self.officeOnly, self.others))
        #expect(broker.routes.count == 1)
    }

    @Test func `a client that is not listed any more goes, and its agents are told of each channel`() throws {
        var broker = try self.broker()
        let peers = [
            try self.open(&broker, to: "office", from: self.officeOnly),
            try self.open(&broker, to: "office", from: self.officeOnly),
        ]
        let other = try self.open(&broker, to: "office", from: self.everything)
        let actions = try self.change(&broker, without: "client K5 agents=office")
        let key = try AuthorizedKeysTests.key(5)
        for peer in peers { #expect(actions.contains(self.close(peer, at: self.office))) }
        #expect(
            actions.contains(
                .close(
                    self.officeOnly,
                    Goodbye(code: .keyUnknown, reason: "the key \(key) is not in the server's --authorized-keys"))))
        #expect(!actions.contains { $0.isAbout(other) })
        #expect(actions.suffix(5) == self.question(self.office, self.home, self.lab, self.everything, self.others)[...])
        #expect(broker.routes.count == 1 && broker.members[self.officeOnly] == nil)
        let ended = broker.takeEndedRoutes()
        #expect(Set(ended.map(\.peer)) == Set(peers) && ended.allSatisfy { $0.reason == .withdrawn })
    }

    @Test func `an agent that is not listed any more goes, and its clients hear of it and of each channel`() throws {
        var broker = try self.broker()
        let office = try self.info(broker, "office")
        _ = broker.received(request: .bind(Bind(name: "office")), id: 1, from: self.everything)
        let peer = try self.open(&broker, to: "office", from: self.officeOnly)
        let actions = try self.change(&broker, without: "agent office K1")
        let gone = Envelope.Body.agentGone(AgentGone(name: "office", instanceID: office.instanceID, reason: .removed))
        #expect(actions.contains(.agentGone(office, .removed)) && actions.contains(.send(self.everything, gone)))
        #expect(!actions.contains(.send(self.officeOnly, gone)), "it does not watch it")
        #expect(actions.contains(self.close(peer, at: self.officeOnly)))
        #expect(
            actions.contains { if case .close(self.office, let bye?) = $0 { bye.code == .keyUnknown } else { false } })
        #expect(self.names(&broker, self.everything) == [["home", "lab"]])
    }

    @Test func `a key that is listed for another name now has lost the old one`() throws {
        var broker = try self.broker()
        let actions = try self.change(&broker, without: "agent office K1", adding: "agent attic K1")
        #expect(
            actions.contains { if case .close(self.office, let bye?) = $0 { bye.code == .nameHeld } else { false } })
    }

    @Test func `a client that may use less loses channels to the rest at both ends`() throws {
        var broker = try self.broker()
        for name in ["home", "lab"] { _ = broker.received(request: .bind(Bind(name: name)), id: 1, from: self.others) }
        let lost = try self.open(&broker, to: "home", from: self.others)
        let kept = try self.open(&broker, to: "lab", from: self.others)
        let home = try self.info(broker, "home")
        let actions = try self.change(&broker, without: "client K6 agents=home|lab", adding: "client K6 agents=lab")
        #expect(
            actions == [
                .send(
                    self.others,
                    .agentGone(AgentGone(name: "home", instanceID: home.instanceID, reason: .removed))),
                self.close(lost, at: self.home), self.close(lost, at: self.others),
            ] + self.question(self.office, self.home, self.lab, self.everything, self.officeOnly, self.others))
        #expect(broker.routes.count == 1 && broker.routes.all(of: self.lab).map(\.peer) == [kept])
        // It hears no more of the agent that it may not see.
        #expect(!broker.sessionClosed(self.home).contains { $0.receiver == self.others })
    }

    @Test func `an answer that comes when the client may not use the agent any more goes nowhere`() throws {
        for line in ["", "client K6 agents=lab"] {
            var broker = try self.broker()
            let (offer, ticket) = try self.forwarded(&broker, to: "home", from: self.others)
            _ = try self.change(&broker, without: "client K6 agents=home|lab", adding: line)
            let actions = broker.openPeerAnswered(ticket, .success(try self.answer(to: offer, ticket)))
            #expect(
                actions.contains {
                    if case .send(self.home, .closePeer(let close)) = $0 { close.peerID == offer.peerID } else { false }
                })
            #expect(!actions.contains { if case .respond(_, _, .openPeerReply) = $0 { true } else { false } })
            #expect(broker.routes.count == 0)
        }
    }

    // MARK: Channels that the server knows nothing of

    @Test(
        arguments: [
            // At an agent: whether the client may use it.
            (1, 4, false), (1, 5, false), (1, 6, true), (2, 6, false), (2, 5, true), (1, 9, true),
            // At a client: whether it may use an agent with that key.
            (14, 1, false), (15, 1, false), (15, 2, true), (16, 3, false), (16, 9, true),
        ] as [(UInt64, UInt8, Bool)])
    func `who has a channel with a key that it may not is told to close it`(
        session: UInt64, number: UInt8, isClosed: Bool
    ) throws {
        var broker = try self.broker()
        let key = try AuthorizedKeysTests.key(number)
        #expect(
            broker.received(event: .peerKey(PeerKey(key)), from: SessionID(session))
                == (isClosed ? [.send(SessionID(session), .keyGone(KeyGone(key)))] : []))
        var open = Broker()
        open.addClient(SessionID(14), key: try Self.proved(4))
        #expect(open.received(event: .peerKey(PeerKey(key)), from: SessionID(14)) == [])
    }
}

extension Broker.Action {
    fileprivate var receiver: SessionID? {
        switch self {
        case .send(let session, _), .passOn(_, let session, _), .respond(let session, _, _): session
        default: nil
        }
    }

    fileprivate func isAbout(_ peer: PeerID) -> Bool {
        if case .send(_, .closePeer(let close)) = self { close.peerID == peer } else { false }
    }
}

extension Broker {
    /// At a moment that does not matter.
    fileprivate mutating func received(request: Envelope.Body, id: UInt64, from session: SessionID) -> [Action] {
        self.received(request: request, id: id, from: session, at: .uptimeNanoseconds(0))
    }
}
