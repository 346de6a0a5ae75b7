import AppProto
import TLS
import Testing

@testable import Signaling

/// A server's and a peer's handshake in memory, with everything fixed that is random outside tests.
struct HandshakePair {
    static let key = SharedKey(derived: [UInt8](repeating: 1, count: 32))
    static let otherKey = SharedKey(derived: [UInt8](repeating: 2, count: 32))
    static let exporter = [UInt8](repeating: 0xE1, count: 32)
    static let agent = AgentRegistration(name: "egress", expireInMilliseconds: 1000, labels: ["os": "linux"])
    static let welcome = Welcome(observedAddress: "192.0.2.1:1", software: "rtun-server/test")
    static let agentWelcome = Welcome(
        instanceID: InstanceID(rawValue: String(repeating: "a", count: 32)), agentName: "egress",
        resumeToken: [1, 2, 3], observedAddress: "192.0.2.1:1", software: "rtun-server/test")

    var server: ServerHandshake
    var client: ClientHandshake

    init(
        server: ServerHandshake.Transport = .plain, client: ClientHandshake.Transport = .plain,
        serverKey: SharedKey = Self.key, clientKey: SharedKey = Self.key, agent: AgentRegistration? = nil,
        identity: ProcessIdentity? = nil
    ) {
        self.server = ServerHandshake(
            secrets: AcceptedSecrets(serverKey), transport: server, software: "rtun-server/test",
            nonce: [UInt8](repeating: 0x51, count: 32))
        self.client = ClientHandshake(
            key: clientKey, transport: client, agent: agent, identity: identity, software: "rtun-test/1",
            nonce: [UInt8](repeating: 0xC1, count: 32))
    }

    /// The client's answer to the server's first message, after a trip through the wire.
    mutating func hello() throws -> Envelope {
        guard case .send(let envelope) = self.client.receive(try onWire(self.server.serverHello)) else {
            throw HandshakePairError.noHello
        }
        return try onWire(envelope)
    }
}

enum HandshakePairError: Error {
    case noHello, notAHello
}

/// What the other side decodes.
func onWire(_ envelope: Envelope) throws -> Envelope {
    try Envelope(decoding: envelope.encoded())
}

extension Hello {
    /// The same with another proof of a key, and a good MAC for the connection that `HandshakePair` makes.
    func proving(_ proof: KeyProof?, binding: [UInt8] = []) -> Hello {
        var hello = Hello(
            version: self.version, role: self.role, clientNonce: self.clientNonce, bindingType: self.bindingType,
            agent: self.agent, software: self.software, keyProof: proof)
        hello.mac = HandshakePair.key.proof(
            by: .client, serverNonce: [UInt8](repeating: 0x51, count: 32), clientNonce: hello.clientNonce,
            binding: binding, message: hello.authenticatedBytes)
        return hello
    }
}

extension Envelope {
    /// The hello in it.
    func hello() throws -> Hello {
        guard case .hello(let hello) = self.body else { throw HandshakePairError.notAHello }
        return hello
    }
}
