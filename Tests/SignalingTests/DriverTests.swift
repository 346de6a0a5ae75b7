import AppProto
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Signaling

/// `SignalAcceptor` and `SignalInitiator` against each other, and against what should not come.
@Suite struct DriverTests {
    private let loop = EmbeddedEventLoop()
    private let binding = [UInt8](repeating: 9, count: 32)

    private final class Results {
        var server: SignalAcceptor.Outcome?
        var client: Result<(SignalConnection, Welcome), SignalInitiator.Failure>?
        var acceptor: SignalAcceptor?
    }

    private func client(
        _ link: MemoryLink, key: SharedKey = testKey, agent: AgentRegistration? = nil,
        transport: ClientHandshake.Transport? = nil, _ results: Results
    ) -> SignalInitiator {
        let handshake = ClientHandshake(
            key: key, transport: transport ?? .verifiedTLS(exporter: link.channelBinding), agent: agent,
            identity: nil, software: "c/1")
        return SignalInitiator(link: link, handshake: { handshake }, timing: .init()) { results.client = $0 }
    }

    private func server(_ link: MemoryLink, _ results: Results) -> SignalAcceptor {
        let acceptor = SignalAcceptor(link: link, secrets: AcceptedSecrets(testKey), software: "s/1") {
            results.server = $1
        }
        results.acceptor = acceptor
        return acceptor
    }

    @Test(arguments: [true, false]) func `both sides end with a connection`(serverFirst: Bool) throws {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
        let results = Results()
        let acceptor = self.server(far, results)
        let initiator = self.client(near, agent: AgentRegistration(name: "a"), results)
        if serverFirst {
            acceptor.start()
            self.loop.run()
            initiator.start()
        } else {
            initiator.start()
            acceptor.start()
        }
        self.loop.run()
        #expect(try results.server?.get().hello.agent?.name == "a")
        let id = InstanceID.random()
        let serverConnection = try #require(
            acceptor.welcome(Welcome(instanceID: id, agentName: "a", observedAddress: "", software: "s/1")))
        let serverDelegate = RecordingConnectionDelegate()
        serverConnection.delegate = serverDelegate
        serverConnection.start()
        // What comes right behind the Welcome waits for the connection to be started.
        serverConnection.sendEvent(.agentGone(AgentGone(name: "x", instanceID: id, reason: .expired)))
        self.loop.run()
        let (connection, welcome) = try #require(try results.client?.get())
        #expect(welcome.instanceID == id)
        let delegate = RecordingConnectionDelegate()
        connection.delegate = delegate
        connection.start()
        #expect(delegate.events.count == 1)
        connection.close()
        self.loop.run()
        #expect(serverDelegate.closed.count == 1)
    }

    @Test func `a wrong secret is answered with a goodbye, and both sides learn of it`() {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
        let results = Results()
        self.server(far, results).start()
        self.client(near, key: otherKey, results).start()
        self.loop.run()
        guard case .failure(.handshake(.proofFailed)) = results.server,
            case .failure(.handshake(.refused(let goodbye))) = results.client
        else {
            Issue.record("\(String(describing: results.server)) \(String(describing: results.client))")
            return
        }
        #expect(goodbye.code == .auth)
        #expect(near.isClosed && far.isClosed)
    }

    @Test func `a man in the middle fails the binding`() {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
        near.channelBinding = [UInt8](repeating: 1, count: 32)
        let results = Results()
        self.server(far, results).start()
        self.client(near, transport: .uncheckedTLS(exporter: near.channelBinding), results).start()
        self.loop.run()
        guard case .failure(.handshake(.refused(let goodbye))) = results.client else {
            Issue.record("not refused")
            return
        }
        #expect(goodbye.code == .auth)
    }

    @Test func `the server may turn away an authenticated peer`() throws {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
        let results = Results()
        let acceptor = self.server(far, results)
        acceptor.start()
        self.client(near, results).start()
        self.loop.run()
        acceptor.refuse(Goodbye(code: .limit, reason: "full"))
        self.loop.run()
        guard case .failure(.handshake(.refused(Goodbye(code: .limit, reason: "full")))) = results.client else {
            Issue.record("not refused")
            return
        }
        #expect(acceptor.welcome(Welcome(observedAddress: "", software: "")) == nil)
    }

    @Test func `both sides give up after 10 s`() {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
        near.isSilent = true
        let results = Results()
        self.server(far, results).start()
        self.client(near, results).start()
        self.loop.advanceTime(by: .milliseconds(9_999))
        #expect(results.server == nil && results.client == nil)
        self.loop.advanceTime(by: .milliseconds(1))
        guard case .failure(.handshake(.timedOut)) = results.server,
            case .failure(.handshake(.timedOut)) = results.client
        else {
            Issue.record("not timed out")
            return
        }
    }

    @Test func `the time limit goes on while the server decides`() {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
        let results = Results()
        let acceptor = self.server(far, results)
        acceptor.start()
        self.client(near, results).start()
        self.loop.run()
        #expect(results.server != nil)
        self.loop.advanceTime(by: .seconds(10))
        #expect(far.isClosed)
        #expect(acceptor.welcome(Welcome(observedAddress: "", software: "")) == nil)
    }

    @Test func `a link that is lost ends the handshake`() {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
        let results = Results()
        self.server(far, results).start()
        self.client(near, results).start()
        near.lose(error: SignalLinkError.truncated)
        far.lose(error: nil)
        guard case .failure(.linkClosed(nil)) = results.server, case .failure(.linkClosed(.some)) = results.client
        else {
            Issue.record("not lost")
            return
        }
    }

    @Test func `garbage is refused with a goodbye`() throws {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
        let results = Results()
        self.server(far, results).start()
        let recorder = RecordingLinkDelegate()
        near.delegate = recorder
        near.send(ByteBuffer(bytes: [0xff, 0xff, 0xff]))
        self.loop.run()
        guard case .goodbye(let goodbye) = try Envelope(decoding: try #require(recorder.messages.last)).body else {
            Issue.record("no goodbye")
            return
        }
        #expect(goodbye.code == .badRequest)
        #expect(far.isClosed)
    }

    @Test func `a peer that is not admitted is turned away, whether its proof is right or wrong`() throws {
        for key in [testKey, otherKey] {
            let (near, far) = MemoryLink.pair(on: self.loop, binding: self.binding)
            let results = Results()
            let acceptor = SignalAcceptor(
                link: far, secrets: AcceptedSecrets(testKey), software: "s/1",
                admit: { Goodbye(code: .limit, reason: "later") }
            ) { results.server = $1 }
            acceptor.start()
            self.client(near, key: key, results).start()
            self.loop.run()
            guard case .failure(.notAdmitted) = results.server else {
                Issue.record("\(String(describing: results.server))")
                return
            }
            guard case .failure(.handshake(.refused(let goodbye))) = results.client else {
                Issue.record("\(String(describing: results.client))")
                return
            }
            #expect(goodbye.code == .limit)
        }
    }
}
