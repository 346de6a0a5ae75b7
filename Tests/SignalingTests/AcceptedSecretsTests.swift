import AppProto
import Testing

@testable import Signaling

/// Several secrets, each for a role or for both.
@Suite struct AcceptedSecretsTests {
    private static let keys = (1...3).map { SharedKey(derived: [UInt8](repeating: UInt8($0), count: 32)) }

    private static func server(_ entries: [AcceptedSecrets.Entry]) -> ServerHandshake {
        ServerHandshake(
            secrets: AcceptedSecrets(entries), transport: .plain, software: "s", nonce: [UInt8](repeating: 9, count: 32)
        )
    }

    /// What a server says to a peer with `key`.
    private static func outcome(
        _ server: inout ServerHandshake, _ key: SharedKey, agent: AgentRegistration?
    ) throws -> (client: ClientHandshake, outcome: ServerHandshake.Outcome) {
        var client = ClientHandshake(
            key: key, transport: .plain, agent: agent, software: "c", nonce: [UInt8](repeating: 8, count: 32))
        guard case .send(let hello) = client.receive(try onWire(server.serverHello)) else {
            throw HandshakePairError.noHello
        }
        return (client, server.receive(try onWire(hello)))
    }

    @Test(arguments: [0, 1, 2], [nil, HandshakePair.agent])
    func `whichever of the secrets is proved, the server proves the same`(index: Int, agent: AgentRegistration?) throws
    {
        var server = Self.server(Self.keys.map { .init($0) })
        var (client, outcome) = try Self.outcome(&server, Self.keys[index], agent: agent)
        guard case .authenticated = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(server.secret == Self.keys[index].id)
        let welcome = server.seal(agent == nil ? HandshakePair.welcome : HandshakePair.agentWelcome)
        guard case .established = client.receive(try onWire(welcome)) else {
            Issue.record("the client is not convinced")
            return
        }
    }

    @Test func `a secret is good for its role only`() throws {
        for (role, agent) in [(Role.agent, HandshakePair.agent), (.client, nil)] as [(Role, AgentRegistration?)] {
            let other = role == .agent ? Role.client : .agent
            var server = Self.server([.init(Self.keys[0], for: other), .init(Self.keys[1], for: role)])
            guard
                case .refuse(let goodbye, .secretOfOtherRole) = try Self.outcome(&server, Self.keys[0], agent: agent)
                    .outcome
            else {
                Issue.record("let in as \(role)")
                return
            }
            #expect(
                goodbye
                    == Goodbye(
                        code: .auth, reason: role == .agent ? "this secret is for clients" : "this secret is for agents"
                    ))
            // The same secret, also for this role.
            var both = Self.server([.init(Self.keys[0], for: other), .init(Self.keys[0], for: role)])
            guard case .authenticated = try Self.outcome(&both, Self.keys[0], agent: agent).outcome else {
                Issue.record("not let in as \(role)")
                return
            }
        }
    }

    @Test func `a secret that is none of them is refused`() throws {
        var server = Self.server([.init(Self.keys[0]), .init(Self.keys[1], for: .agent)])
        guard case .refuse(_, .proofFailed) = try Self.outcome(&server, Self.keys[2], agent: nil).outcome else {
            Issue.record("let in")
            return
        }
        #expect(server.secret == nil)
    }

    @Test func `a session goes on for as long as its secret is there for its role`() {
        let before = AcceptedSecrets([.init(Self.keys[0]), .init(Self.keys[1], for: .agent)])
        #expect(before.accepts(Self.keys[0].id, for: .client) && before.accepts(Self.keys[1].id, for: .agent))
        #expect(!before.accepts(Self.keys[1].id, for: .client) && !before.accepts(Self.keys[2].id, for: .agent))
    }

    @Test func `tokens come of secrets that clients may have`() {
        let secrets = AcceptedSecrets([
            .init(Self.keys[0], for: .agent), .init(Self.keys[1], for: .client), .init(Self.keys[2]),
        ])
        let tokens = secrets.tokenKeys.map { SessionsToken.make(expiry: 9, key: $0) }
        #expect(tokens == Self.keys.dropFirst().map { SessionsToken.make(expiry: 9, key: $0.serverKey) })
        #expect(secrets.serverKey.statelessResetKey == Self.keys[1].serverKey.statelessResetKey)
    }
}
