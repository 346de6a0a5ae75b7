import AppProto
import Basics
import NIOCore
import Signaling
import Testing

@testable import rtun_server

/// Who gets a contested name and which instance id, in virtual time.
@Suite struct RegistryKeyTests {
    /// A process with a key, as the server sees it.
    private struct Process {
        let key: ProvedKey
        let nonce: UInt8
        /// When it was started, in milliseconds.
        let birth: UInt64

        func claim(at now: UInt64) -> Claim {
            .key(
                self.key,
                AgentProcess(nonce: [UInt8](repeating: self.nonce, count: 16), aliveMilliseconds: now - self.birth))
        }

        var id: InstanceID {
            InstanceID(of: self.key.fingerprint, processNonce: [UInt8](repeating: self.nonce, count: 16))
        }
    }

    /// Whether a registration came to something.
    private enum Outcome: Equatable {
        case registered
        case refused(GoodbyeCode)
    }

    private static let start: UInt64 = 1_700_000_000_000

    private static func key(_ number: UInt8, kept: Bool = false) throws -> ProvedKey {
        ProvedKey(
            fingerprint: try #require(CertificateFingerprint(bytes: [UInt8](repeating: number, count: 32))),
            isKept: kept)
    }

    private static func process(
        _ key: UInt8, _ nonce: UInt8 = 1, kept: Bool = false, birth: UInt64 = 0
    ) throws -> Process {
        Process(key: try Self.key(key, kept: kept), nonce: nonce, birth: Self.start + birth)
    }

    private let client = SessionID(100)

    private func register(
        _ broker: inout Broker, _ claim: Claim, session: UInt64, name: String = "egress", expireIn: UInt64 = 0,
        at time: UInt64
    ) -> Broker.Registration {
        broker.addAgent(
            AgentRegistration(name: name, expireInMilliseconds: expireIn), claim: claim,
            newID: InstanceID(rawValue: String(repeating: "a", count: 32)) ?? .random(), session: SessionID(session),
            address: "", software: "", now: .at(Self.start + time))
    }

    private func outcome(_ registration: Broker.Registration) -> Outcome {
        switch registration {
        case .registered: .registered
        case .refused(let goodbye): .refused(goodbye.code)
        }
    }

    @Test func `a process has the same instance id on each connection and each server, and a restarted one another`()
        throws
    {
        let process = try Self.process(1)
        for _ in 0..<2 {
            var broker = Broker()
            for (session, time) in [(1, 100), (2, 5000)] as [(UInt64, UInt64)] {
                let registration = self.register(
                    &broker, process.claim(at: Self.start + time), session: session, at: time)
                guard case .registered(let agent, let token, let actions) = registration else {
                    Issue.record("\(registration)")
                    return
                }
                #expect(agent.instanceID == process.id && agent.key == process.key)
                // No token: it would be another way to the id.
                #expect(token == nil)
                // Nobody has gone, and the process would take itself for replaced.
                #expect(actions == (session == 1 ? [] : [.close(SessionID(1), nil)]))
            }
            let restarted = try Self.process(1, 2, birth: 6000)
            #expect(restarted.id != process.id)
            let registration = self.register(
                &broker, restarted.claim(at: Self.start + 6100), session: 3, at: 6100)
            guard case .registered(let agent, _, let actions) = registration else {
                Issue.record("\(registration)")
                return
            }
            #expect(agent.instanceID == restarted.id)
            #expect(actions.count == 2)
        }
    }

    @Test(arguments: [false, true]) func `of two processes the younger has the name, whoever comes first`(
        olderComesFirst: Bool
    ) throws {
        for sameKey in [false, true] {
            var broker = Broker()
            let older = try Self.process(1, 1)
            let younger = try Self.process(sameKey ? 1 : 2, 2, birth: 10)
            let order = olderComesFirst ? [older, younger] : [younger, older]
            let outcomes = order.enumerated().map { index, process in
                let time = 1000 + UInt64(index) * 1000
                return self.outcome(
                    self.register(
                        &broker, process.claim(at: Self.start + time), session: UInt64(index), at: time))
            }
            #expect(outcomes == [.registered, olderComesFirst ? .registered : .refused(.replaced)])
            #expect(broker.agents.map(\.instanceID) == [younger.id])
        }
    }

    @Test func `a clock that is set in between does not change who is younger`() throws {
        var broker = Broker()
        let (older, younger) = (try Self.process(1), try Self.process(2, birth: 5000))
        _ = self.register(&broker, older.claim(at: Self.start + 100), session: 1, at: 100)
        // An hour back.
        let registration = broker.addAgent(
            AgentRegistration(name: "egress"), claim: younger.claim(at: Self.start + 5100), newID: .random(),
            session: SessionID(2), address: "", software: "",
            now: Moment(
                unixMilliseconds: Self.start - 3_600_000, deadline: Moment.at(Self.start + 5100).deadline))
        #expect(self.outcome(registration) == .registered)
    }

    /// Who holds a name, and who comes for it.
    enum Contender: CaseIterable {
        /// With a key made at its start, the same or another.
        case ephemeral, kept, otherKept
        /// Of an older version.
        case token, fresh
    }

    @Test(arguments: Contender.allCases, [Contender.ephemeral, .kept, .token])
    func `a kept key holds its name against others, and no token takes one from a key`(
        comer: Contender, holder: Contender
    ) throws {
        var broker = Broker()
        func claim(_ contender: Contender, nonce: UInt8, birth: UInt64, at time: UInt64) throws -> Claim {
            let now = Self.start + time
            switch contender {
            case .ephemeral: return try Self.process(nonce, nonce, birth: birth).claim(at: now)
            case .kept: return try Self.process(7, nonce, kept: true, birth: birth).claim(at: now)
            case .otherKept: return try Self.process(8, nonce, kept: true, birth: birth).claim(at: now)
            case .token:
                return .token(
                    ResumeToken(
                        instanceID: .random(), createdAtMilliseconds: Self.start + birth, expireAtMilliseconds: 0))
            case .fresh: return .nothing
            }
        }
        _ = self.register(&broker, try claim(holder, nonce: 1, birth: 0, at: 100), session: 1, at: 100)
        broker.addClient(self.client)
        _ = broker.received(
            request: .bind(Bind(name: "egress")), id: 2, from: self.client, at: .uptimeNanoseconds(1))
        let before = broker.agents
        let outcome = self.outcome(
            self.register(&broker, try claim(comer, nonce: 2, birth: 1000, at: 1100), session: 2, at: 1100))
        let expected: Outcome =
            switch (comer, holder) {
            case (.kept, _), (.ephemeral, .ephemeral), (.ephemeral, .token), (.fresh, .ephemeral), (.fresh, .token):
                .registered
            case (.otherKept, .kept), (.ephemeral, .kept): .refused(.nameHeld)
            case (.otherKept, _): .registered
            // The code that older versions know.
            case (.token, .ephemeral), (.token, .kept), (.fresh, _): .refused(.replaced)
            case (.token, _), (.ephemeral, _): .registered
            }
        #expect(outcome == expected)
        if expected != .registered { #expect(broker.agents == before) }
    }

    @Test func `a name that a kept key has left is free`() throws {
        var broker = Broker()
        let (kept, other) = (try Self.process(7, kept: true), try Self.process(2, 2, birth: 500))
        _ = self.register(&broker, kept.claim(at: Self.start + 100), session: 1, at: 100)
        _ = broker.sessionClosed(SessionID(1))
        #expect(
            self.outcome(self.register(&broker, other.claim(at: Self.start + 600), session: 2, at: 600)) == .registered)
    }

    @Test func `a token for the instance of a key gets neither that nor the name, and a new id where the name is free`()
        throws
    {
        var broker = Broker()
        let process = try Self.process(1)
        _ = self.register(&broker, process.claim(at: Self.start + 100), session: 1, at: 100)
        let forged = Claim.token(
            ResumeToken(instanceID: process.id, createdAtMilliseconds: Self.start + 500, expireAtMilliseconds: 0))
        #expect(self.outcome(self.register(&broker, forged, session: 2, at: 200)) == .refused(.replaced))
        _ = broker.sessionClosed(SessionID(1))
        #expect(self.outcome(self.register(&broker, forged, session: 3, at: 300)) == .registered)
        #expect(broker.agents.map(\.instanceID) != [process.id])
    }

    @Test func `a token from the future makes nobody younger than a process with a key`() throws {
        var broker = Broker()
        let token = ResumeToken(
            instanceID: .random(), createdAtMilliseconds: Self.start + 1_000_000_000, expireAtMilliseconds: 0)
        _ = self.register(&broker, .token(token), session: 1, at: 100)
        let process = try Self.process(1, birth: 200)
        #expect(
            self.outcome(self.register(&broker, process.claim(at: Self.start + 300), session: 2, at: 300))
                == .registered)
    }

    @Test func `those who watch an agent hear of each change of who holds the name, once`() throws {
        var broker = Broker()
        broker.addClient(self.client)
        let processes = try (1...4).map { try Self.process($0 % 2, $0, birth: UInt64($0) * 1000) }
        for (index, process) in processes.enumerated() {
            let time = process.birth - Self.start + 100
            guard
                case .registered(_, _, let actions) = self.register(
                    &broker, process.claim(at: Self.start + time), session: UInt64(index), at: time)
            else {
                Issue.record("refused")
                return
            }
            let told = actions.filter { if case .send(self.client, .agentGone) = $0 { true } else { false } }
            let gone =
                index == 0
                ? nil
                : AgentGone(
                    name: "egress", instanceID: processes[index - 1].id, reason: .replaced)
            #expect(told == (gone.map { [.send(self.client, .agentGone($0))] } ?? []))
            _ = broker.received(
                request: .bind(Bind(name: "egress")), id: 2, from: self.client, at: .uptimeNanoseconds(1))
        }
    }

    @Test func `a process that has two names is watched under each`() throws {
        var broker = Broker()
        let process = try Self.process(1)
        for (session, name) in [(1, "a"), (2, "b")] as [(UInt64, String)] {
            _ = self.register(
                &broker, process.claim(at: Self.start + 100), session: session, name: name, at: 100)
        }
        broker.addClient(self.client)
        _ = broker.received(request: .bind(Bind(name: "b")), id: 2, from: self.client, at: .uptimeNanoseconds(1))
        #expect(!broker.sessionClosed(SessionID(1)).contains { if case .send = $0 { true } else { false } })
        let gone = AgentGone(name: "b", instanceID: process.id, reason: .disconnected)
        #expect(broker.sessionClosed(SessionID(2)).contains(.send(self.client, .agentGone(gone))))
    }

    @Test(
        arguments: [
            // What is left of it, and what the server makes of it.
            (60_000, 50_000, 60_000), (60_000, 60_000, 60_000), (60_000, 0, 60_000), (0, 5000, 15_000), (0, 0, 0),
        ] as [(UInt64, UInt64, UInt64)])
    func `a connection that comes back makes a registration no longer`(
        first: UInt64, second: UInt64, end: UInt64
    ) throws {
        var broker = Broker()
        let process = try Self.process(1)
        _ = self.register(&broker, process.claim(at: Self.start), session: 1, expireIn: first, at: 0)
        let registration = self.register(
            &broker, process.claim(at: Self.start + 10_000), session: 2, expireIn: second, at: 10_000)
        guard case .registered(let agent, _, _) = registration else {
            Issue.record("\(registration)")
            return
        }
        #expect(agent.expireAtMilliseconds == (end == 0 ? 0 : Self.start + end))
        // A server that has restarted goes by what the process says is left.
        var restarted = Broker()
        guard
            case .registered(let again, _, _) = self.register(
                &restarted, process.claim(at: Self.start + 10_000), session: 2, expireIn: second, at: 10_000)
        else {
            Issue.record("refused")
            return
        }
        #expect(again.expireAtMilliseconds == (second == 0 ? 0 : Self.start + 10_000 + second))
    }

    // MARK: Offers

    private func offer(_ agent: AgentInfo, _ key: ProvedKey?) -> OpenPeer {
        OpenPeer(
            peerID: .random(), name: agent.name, instanceID: agent.instanceID,
            ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"),
            fingerprint: key?.fingerprint.bytes ?? [UInt8](repeating: 3, count: 32), kind: .quicTunnel)
    }

    /// A broker with an agent and two clients, the second without a key.
    private func offering() throws -> (broker: Broker, agent: AgentInfo, key: ProvedKey) {
        var broker = Broker(firstStamp: .max)
        let process = try Self.process(1)
        guard
            case .registered(let agent, _, _) = self.register(
                &broker, process.claim(at: Self.start), session: 1, at: 0)
        else { throw Refused() }
        let key = try Self.key(5, kept: true)
        broker.addClient(self.client, key: key)
        broker.addClient(SessionID(101))
        return (broker, agent, key)
    }

    private struct Refused: Error {}

    @Test func `an offer carries the client's session and key, and nothing that the client has written there`() throws {
        var (broker, agent, key) = try self.offering()
        for (session, key, stamp) in [(self.client, key, 99), (SessionID(101), nil, 100)]
            as [(SessionID, ProvedKey?, UInt64)]
        {
            var offer = self.offer(agent, key)
            offer.client = ClientStamp(session: 1, key: try Self.key(9))
            guard
                case .forward(SessionID(1), let forwarded, _)? = broker.received(
                    request: .openPeer(offer), id: 1, from: session, at: .uptimeNanoseconds(1)
                ).first
            else {
                Issue.record("not forwarded")
                continue
            }
            #expect(forwarded.client == ClientStamp(session: stamp, key: key))
        }
    }

    @Test func `an offer or an answer with another key than is proved goes no further`() throws {
        var (broker, agent, key) = try self.offering()
        let wrong = broker.received(
            request: .openPeer(self.offer(agent, try Self.key(6))), id: 1, from: self.client, at: .uptimeNanoseconds(1))
        guard case .respond(self.client, id: 1, .failure(let failure))? = wrong.first else {
            Issue.record("\(wrong)")
            return
        }
        #expect(failure.code == .badRequest)
        let offer = self.offer(agent, key)
        guard
            case .forward(_, _, let ticket)? = broker.received(
                request: .openPeer(offer), id: 2, from: self.client, at: .uptimeNanoseconds(1)
            ).first
        else {
            Issue.record("not forwarded")
            return
        }
        let reply = OpenPeerReply(
            peerID: offer.peerID, ice: offer.ice, fingerprint: [UInt8](repeating: 6, count: 32))
        let actions = broker.openPeerAnswered(ticket, .success(reply))
        guard case .respond(self.client, id: 2, .failure(let failure))? = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(failure.code == .internal)
        #expect(actions.count == 2)
    }

    @Test func `a channel moves to another session of the client with the same key only`() throws {
        var (broker, agent, key) = try self.offering()
        let offer = self.offer(agent, key)
        _ = broker.received(request: .openPeer(offer), id: 1, from: self.client, at: .uptimeNanoseconds(1))
        let restart = RestartPeer(
            peerID: offer.peerID, name: agent.name, instanceID: agent.instanceID, generation: 1, ice: offer.ice)
        broker.addClient(SessionID(102), key: try Self.key(6))
        broker.addClient(SessionID(103), key: key)
        for (session, isTaken) in [(SessionID(101), false), (SessionID(102), false), (SessionID(103), true)] {
            let actions = broker.received(
                request: .restartPeer(restart), id: 9, from: session, at: .uptimeNanoseconds(1))
            guard case .forwardRestart? = actions.first else {
                #expect(!isTaken, "\(actions)")
                continue
            }
            #expect(isTaken)
        }
    }
}
