import AppProto
import Basics
import Crypto
import NIOCore
import TLS
import Testing

@testable import Signaling

/// Proofs of keys in the handshake, and what others may try with them.
@Suite struct KeyProofTests {
    private let identity: ProcessIdentity
    private let other: ProcessIdentity

    private static let agent = AgentRegistration(
        name: "egress", labels: ["os": "linux", "a": "b"],
        process: AgentProcess(nonce: [UInt8](repeating: 9, count: 16), aliveMilliseconds: 1234, isReturning: true))

    init() throws {
        self.identity = try ProcessIdentity(commonName: "test")
        self.other = try ProcessIdentity(commonName: "test")
    }

    @Test(arguments: [false, true]) func `the server learns the key of an agent and of a client`(isAgent: Bool) throws {
        var pair = HandshakePair(agent: isAgent ? Self.agent : nil, identity: self.identity)
        guard case .authenticated(let peer) = pair.server.receive(try pair.hello()) else {
            Issue.record("not authenticated")
            return
        }
        #expect(peer.key == ProvedKey(fingerprint: self.identity.fingerprint, isKept: false))
        #expect(peer.hello.agent?.process == (isAgent ? Self.agent.process : nil))
        let welcome = isAgent ? HandshakePair.agentWelcome : HandshakePair.welcome
        guard case .established = pair.client.receive(try onWire(pair.server.seal(welcome))) else {
            Issue.record("not established")
            return
        }
    }

    @Test func `a hello without a key is welcome, and proves none`() throws {
        var pair = HandshakePair(agent: HandshakePair.agent)
        guard case .authenticated(let peer) = pair.server.receive(try pair.hello()) else {
            Issue.record("not authenticated")
            return
        }
        #expect(peer.key == nil && peer.hello.agent?.process == nil)
    }

    @Test func `the certificate of another with one's own signature is refused`() throws {
        try self.expectRefusal { hello, proof in
            hello.proving(KeyProof(certificate: self.other.certificate, isKept: false, signature: proof.signature))
        }
    }

    @Test func `a signature over another binding, or for another connection, is refused`() throws {
        for (serverNonce, clientNonce, binding) in [
            ([UInt8](repeating: 0x51, count: 32), nil, [UInt8](repeating: 1, count: 32)),
            ([UInt8](repeating: 0x52, count: 32), nil, []),
            ([UInt8](repeating: 0x51, count: 32), [UInt8](repeating: 0, count: 32), []),
        ] as [([UInt8], [UInt8]?, [UInt8])] {
            try self.expectRefusal { hello, proof in
                let message = Handshake.signedMessage(
                    serverNonce: serverNonce, clientNonce: clientNonce ?? hello.clientNonce, binding: binding,
                    hello: hello)
                return hello.proving(
                    KeyProof(
                        certificate: proof.certificate, isKept: false, signature: self.identity.sign(message)))
            }
        }
    }

    @Test func `the signature covers what the hello says`() throws {
        // Somebody with the secret reads the Hello of another, and changes what it asks for.
        let changes: [(Hello) -> Hello] = [
            { hello in Self.copy(hello, software: "other") },
            { hello in Self.copy(hello, isKept: true) },
            { hello in
                var agent = Self.agent
                agent.process?.aliveMilliseconds = 0
                return Self.copy(hello, agent: agent)
            },
            { hello in
                var agent = Self.agent
                agent.process?.nonce = [UInt8](repeating: 8, count: 16)
                return Self.copy(hello, agent: agent)
            },
        ]
        for change in changes {
            try self.expectRefusal { hello, _ in change(hello).proving(change(hello).keyProof) }
        }
    }

    private static func copy(
        _ hello: Hello, agent: AgentRegistration = Self.agent, software: String = "rtun-test/1", isKept: Bool = false
    ) -> Hello {
        Hello(
            version: hello.version, role: hello.role, clientNonce: hello.clientNonce, bindingType: hello.bindingType,
            agent: agent, software: software,
            keyProof: hello.keyProof.map {
                KeyProof(certificate: $0.certificate, isKept: isKept, signature: $0.signature)
            })
    }

    @Test(arguments: [0, 1, 8, 71, 72]) func `a signature that is none is refused`(length: Int) throws {
        guard length > 0 else {
            // Without a signature the message is malformed.
            let hello = try self.hello().proving(
                KeyProof(certificate: self.identity.certificate, isKept: false, signature: []))
            #expect(throws: AppProtoError.self) { try onWire(Envelope(.hello(hello))) }
            return
        }
        try self.expectRefusal { hello, proof in
            hello.proving(
                KeyProof(
                    certificate: proof.certificate, isKept: false,
                    signature: [UInt8](repeating: 0x30, count: length)))
        }
    }

    @Test func `certificates that are too long, cut off or of other keys are refused`() throws {
        let certificate = self.identity.certificate
        let long = self.identity.certificate + [UInt8](repeating: 0, count: 2049 - certificate.count)
        let tooLong = try self.hello().proving(KeyProof(certificate: long, isKept: false, signature: [1]))
        #expect(throws: AppProtoError.self) { try onWire(Envelope(.hello(tooLong))) }
        for certificate in [
            Array(certificate.dropLast()), certificate + [0], Array(long.dropLast()), [0x30, 0], [0],
        ] {
            try self.expectRefusal { hello, _ in
                var proof = KeyProof(certificate: certificate, isKept: false)
                proof.signature = self.identity.sign(
                    Handshake.signedMessage(
                        serverNonce: [UInt8](repeating: 0x51, count: 32), clientNonce: hello.clientNonce, binding: [],
                        hello: hello.proving(proof)))
                return hello.proving(proof)
            }
        }
    }

    @Test func `an agent's certificate and nonce come together or not at all`() throws {
        let hello = try self.hello()
        var agent = Self.agent
        agent.process = nil
        #expect(throws: AppProtoError.self) { try onWire(Envelope(.hello(Self.copy(hello, agent: agent)))) }
        let without = Hello(
            version: 1, role: .agent, clientNonce: hello.clientNonce, bindingType: .none, agent: Self.agent,
            software: "x")
        #expect(throws: AppProtoError.self) { try onWire(Envelope(.hello(without))) }
    }

    @Test func `a recorded hello is refused on the next connection, whoever knows the secret`() throws {
        var pair = HandshakePair(agent: Self.agent, identity: self.identity)
        let recorded = try pair.hello().hello()
        let nonce = [UInt8](repeating: 0x52, count: 32)
        var next = ServerHandshake(
            secrets: AcceptedSecrets(HandshakePair.key), transport: .plain, software: "", nonce: nonce)
        var replayed = recorded
        // Who has the secret makes a MAC for anything.
        replayed.mac = HandshakePair.key.proof(
            by: .client, serverNonce: nonce, clientNonce: recorded.clientNonce, binding: [],
            message: recorded.authenticatedBytes)
        guard case .refuse(let goodbye, .keyRefused) = next.receive(try onWire(Envelope(.hello(replayed)))) else {
            Issue.record("accepted")
            return
        }
        #expect(goodbye.code == .auth)
    }

    @Test func `an instance id follows from key and nonce alone`() throws {
        let nonce = [UInt8](repeating: 1, count: 16)
        let id = InstanceID(of: self.identity.fingerprint, processNonce: nonce)
        #expect(id == InstanceID(of: self.identity.fingerprint, processNonce: nonce))
        #expect(id != InstanceID(of: self.other.fingerprint, processNonce: nonce))
        #expect(id != InstanceID(of: self.identity.fingerprint, processNonce: [UInt8](repeating: 2, count: 16)))
        #expect(id.belongsToKey && id.rawValue.hasPrefix("4944"))
        // The bytes of docs/protocol.md.
        let fingerprint = try #require(CertificateFingerprint(bytes: [UInt8](repeating: 7, count: 32)))
        #expect(
            InstanceID(of: fingerprint, processNonce: nonce).rawValue
                == "4944"
                + Hex.text(SHA256.hash(Array("rtun/1 instance".utf8) + fingerprint.bytes + nonce).prefix(14)))
    }

    /// A good Hello with a proof.
    private func hello() throws -> Hello {
        var pair = HandshakePair(agent: Self.agent, identity: self.identity)
        return try pair.hello().hello()
    }

    /// The server refuses what `change` makes of a good Hello, whose MAC is right again.
    private func expectRefusal(
        sourceLocation: SourceLocation = #_sourceLocation, _ change: (Hello, KeyProof) throws -> Hello
    ) throws {
        var pair = HandshakePair(agent: Self.agent, identity: self.identity)
        let hello = try pair.hello().hello()
        let changed = try change(hello, try #require(hello.keyProof))
        guard case .refuse(let goodbye, .keyRefused) = pair.server.receive(try onWire(Envelope(.hello(changed)))) else {
            Issue.record("accepted", sourceLocation: sourceLocation)
            return
        }
        #expect(goodbye.code == .auth, sourceLocation: sourceLocation)
    }
}
