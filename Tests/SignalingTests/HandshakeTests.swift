import AppProto
import NIOCore
import Testing

@testable import Signaling

@Suite struct HandshakeTests {
    @Test(arguments: [
        (ServerHandshake.Transport.plain, ClientHandshake.Transport.plain, BindingType.none),
        // A proxy terminates TLS in front of the server.
        (.plain, .verifiedTLS(exporter: HandshakePair.exporter), .none),
        (.tls(exporter: HandshakePair.exporter), .verifiedTLS(exporter: HandshakePair.exporter), .tlsExporter),
        (.tls(exporter: HandshakePair.exporter), .uncheckedTLS(exporter: HandshakePair.exporter), .tlsExporter),
    ])
    func `both sides prove the secret`(
        server: ServerHandshake.Transport, client: ClientHandshake.Transport, binding: BindingType
    ) throws {
        var pair = HandshakePair(server: server, client: client)
        let hello = try pair.hello()
        #expect(try hello.hello().bindingType == binding)
        guard case .authenticated = pair.server.receive(hello) else {
            Issue.record("not authenticated")
            return
        }
        guard case .established(let welcome) = pair.client.receive(try onWire(pair.server.seal(HandshakePair.welcome)))
        else {
            Issue.record("not established")
            return
        }
        #expect(welcome.observedAddress == "192.0.2.1:1")
    }

    @Test func `an agent's registration reaches the server`() throws {
        var pair = HandshakePair(agent: HandshakePair.agent)
        guard case .authenticated(let peer) = pair.server.receive(try pair.hello()) else {
            Issue.record("not authenticated")
            return
        }
        #expect(peer.hello.role == .agent)
        #expect(peer.hello.agent == HandshakePair.agent)
        let welcome = try onWire(pair.server.seal(HandshakePair.agentWelcome))
        guard case .established(let received) = pair.client.receive(welcome) else {
            Issue.record("not established")
            return
        }
        #expect(received.instanceID == HandshakePair.agentWelcome.instanceID)
    }

    @Test func `a wrong secret is refused`() throws {
        var pair = HandshakePair(clientKey: HandshakePair.otherKey)
        guard case .refuse(let goodbye, .proofFailed) = pair.server.receive(try pair.hello()) else {
            Issue.record("not refused")
            return
        }
        #expect(goodbye.code == .auth)
        #expect(pair.client.receive(Envelope(.goodbye(goodbye))) == .failed(.refused(goodbye)))
    }

    @Test func `a server without the secret is detected`() throws {
        var pair = HandshakePair()
        _ = try pair.hello()
        var imposter = HandshakePair(serverKey: HandshakePair.otherKey, clientKey: HandshakePair.otherKey)
        _ = imposter.server.receive(try imposter.hello())
        let welcome = try onWire(imposter.server.seal(HandshakePair.welcome))
        #expect(pair.client.receive(welcome) == .failed(.proofFailed))
    }

    @Test func `a proof made for one TLS connection is worthless on another`() throws {
        // The man in the middle has a TLS connection to each side, and passes all messages on.
        var pair = HandshakePair(
            server: .tls(exporter: HandshakePair.exporter),
            client: .uncheckedTLS(exporter: [UInt8](repeating: 0x66, count: 32)))
        guard case .refuse(let goodbye, .proofFailed) = pair.server.receive(try pair.hello()) else {
            Issue.record("not refused")
            return
        }
        #expect(goodbye.code == .auth)
    }

    @Test func `each tampered field of the hello is noticed`() throws {
        var original = HandshakePair(agent: HandshakePair.agent)
        let hello = try original.hello().hello()
        var renamed = HandshakePair.agent
        renamed.name = "other"
        let tampered = [
            Hello(
                version: hello.version, role: .agent, clientNonce: hello.clientNonce, bindingType: .none,
                agent: renamed,
                software: hello.software, mac: hello.mac),
            Hello(
                version: hello.version, role: .client, clientNonce: hello.clientNonce, bindingType: .none,
                software: hello.software, mac: hello.mac),
            Hello(
                version: hello.version, role: .agent, clientNonce: [UInt8](repeating: 0, count: 32), bindingType: .none,
                agent: hello.agent, software: hello.software, mac: hello.mac),
            Hello(
                version: hello.version, role: .agent, clientNonce: hello.clientNonce, bindingType: .none,
                agent: hello.agent, software: "x", mac: hello.mac),
            Hello(
                version: hello.version, role: .agent, clientNonce: hello.clientNonce, bindingType: .none,
                agent: hello.agent, software: hello.software, mac: []),
        ]
        for hello in tampered {
            var server = original.server
            guard case .refuse(let goodbye, .proofFailed) = server.receive(try onWire(Envelope(.hello(hello)))) else {
                Issue.record("accepted: \(hello)")
                continue
            }
            #expect(goodbye.code == .auth)
        }
    }

    @Test func `a tampered welcome is noticed`() throws {
        var pair = HandshakePair(agent: HandshakePair.agent)
        _ = pair.server.receive(try pair.hello())
        guard case .welcome(let sealed) = pair.server.seal(HandshakePair.agentWelcome).body else { return }
        let tampered = Welcome(
            instanceID: sealed.instanceID, agentName: "other", resumeToken: sealed.resumeToken,
            observedAddress: sealed.observedAddress, software: sealed.software, mac: sealed.mac)
        #expect(pair.client.receive(try onWire(Envelope(.welcome(tampered)))) == .failed(.proofFailed))
    }

    @Test func `a client's own proof sent back to it proves nothing`() throws {
        var pair = HandshakePair()
        let hello = try pair.hello().hello()
        let reflected = Welcome(observedAddress: "", software: "", mac: hello.mac)
        #expect(pair.client.receive(try onWire(Envelope(.welcome(reflected)))) == .failed(.proofFailed))
    }

    @Test func `a recorded hello is refused on the next connection`() throws {
        var pair = HandshakePair()
        let recorded = try pair.hello()
        var next = ServerHandshake(
            secrets: AcceptedSecrets(HandshakePair.key), transport: .plain, software: "",
            nonce: [UInt8](repeating: 0x52, count: 32))
        guard case .refuse(_, .proofFailed) = next.receive(recorded) else {
            Issue.record("accepted")
            return
        }
    }

    @Test func `a second hello is a breach of the protocol`() throws {
        var pair = HandshakePair()
        let hello = try pair.hello()
        _ = pair.server.receive(hello)
        guard case .refuse(let goodbye, .protocolViolation) = pair.server.receive(hello) else {
            Issue.record("accepted")
            return
        }
        #expect(goodbye.code == .badRequest)
    }

    @Test func `a handshake needs a common version`() throws {
        var client = HandshakePair().client
        let future = ServerHello(
            versions: [2, 3], serverNonce: [UInt8](repeating: 0, count: 32), bindingTypes: [.none], software: "")
        #expect(client.receive(Envelope(.serverHello(future))) == .failed(.versionMismatch(offered: [2, 3])))

        var server = HandshakePair().server
        let hello = Hello(
            version: 2, role: .client, clientNonce: [UInt8](repeating: 0, count: 32), bindingType: .none, software: "")
        guard case .refuse(let goodbye, .versionMismatch) = server.receive(Envelope(.hello(hello))) else {
            Issue.record("accepted")
            return
        }
        #expect(goodbye.code == .version)
    }

    @Test func `without certificate checking a server that offers no binding is refused`() throws {
        var pair = HandshakePair(server: .plain, client: .uncheckedTLS(exporter: HandshakePair.exporter))
        guard case .failed(.bindingUnavailable) = pair.client.receive(pair.server.serverHello) else {
            Issue.record("went on")
            return
        }
        var cannotExport = HandshakePair(server: .plain, client: .uncheckedTLS(exporter: nil))
        guard case .failed(.bindingUnavailable) = cannotExport.client.receive(cannotExport.server.serverHello) else {
            Issue.record("went on")
            return
        }
    }

    @Test func `a server that terminates TLS refuses an unbound proof`() throws {
        var pair = HandshakePair(server: .tls(exporter: HandshakePair.exporter), client: .plain)
        guard case .failed(.bindingUnavailable) = pair.client.receive(pair.server.serverHello) else {
            Issue.record("went on")
            return
        }
        // A client that does not care.
        var careless = HandshakePair(server: .plain, client: .plain)
        guard case .refuse(let goodbye, .bindingUnavailable) = pair.server.receive(try careless.hello()) else {
            Issue.record("accepted")
            return
        }
        #expect(goodbye.code == .binding)
    }

    @Test func `fields of a newer version are part of the proof`() throws {
        // A hello with field 500, which this version does not know; the newer peer's MAC covers it.
        var pair = HandshakePair()
        let hello = try pair.hello().hello()
        let unsigned = hello.authenticatedBytes + [0xA2, 0x1F, 2, 0x68, 0x69]
        let mac = HandshakePair.key.proof(
            by: .client, serverNonce: [UInt8](repeating: 0x51, count: 32), clientNonce: hello.clientNonce, binding: [],
            message: unsigned)
        let newer = Self.envelope(hello: hello.authenticatedBytes + [0x3A, 32] + mac + [0xA2, 0x1F, 2, 0x68, 0x69])
        var server = pair.server
        guard case .authenticated = server.receive(try Envelope(decoding: newer)) else {
            Issue.record("not authenticated")
            return
        }
        let changed = Self.envelope(hello: hello.authenticatedBytes + [0x3A, 32] + mac + [0xA2, 0x1F, 2, 0x68, 0x6A])
        guard case .refuse(_, .proofFailed) = pair.server.receive(try Envelope(decoding: changed)) else {
            Issue.record("not refused")
            return
        }
    }

    private static func envelope(hello: [UInt8]) -> ByteBuffer {
        ByteBuffer(bytes: [0x1A, UInt8(hello.count & 0x7F | 0x80), UInt8(hello.count >> 7)] + hello)
    }

    @Test func `anything but the expected message ends the handshake`() {
        var pair = HandshakePair()
        guard case .refuse(let goodbye, .protocolViolation) = pair.server.receive(Envelope(.ping)) else {
            Issue.record("accepted")
            return
        }
        #expect(goodbye.code == .badRequest)
        #expect(pair.client.receive(Envelope(.listAgents())) == .failed(.protocolViolation("expected ServerHello")))
    }
}
