import AppProto
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Signaling

@Suite struct SignalConnectionTests {
    /// A connection, and the raw link at its other end.
    private struct Fixture {
        let loop = EmbeddedEventLoop()
        let connection: SignalConnection
        let delegate = RecordingConnectionDelegate()
        let far: MemoryLink
        let farMessages = RecordingLinkDelegate()

        init(side: SignalConnection.Side = .peer) {
            let (near, far) = MemoryLink.pair(on: self.loop)
            self.far = far
            far.delegate = self.farMessages
            self.connection = SignalConnection(link: near, side: side)
            self.connection.delegate = self.delegate
            self.connection.start()
        }

        func farSends(_ envelope: Envelope) {
            self.far.send(envelope.encoded())
            self.loop.run()
        }

        /// What the connection has sent, decoded.
        func sent() throws -> [Envelope] {
            self.loop.run()
            return try self.farMessages.messages.map { try Envelope(decoding: $0) }
        }
    }

    private func result(_ future: EventLoopFuture<Envelope.Body>, _ loop: EmbeddedEventLoop) -> Result<
        Envelope.Body, any Error
    >? {
        loop.run()
        var result: Result<Envelope.Body, any Error>?
        future.assumeIsolated().whenComplete { result = $0 }
        return result
    }

    @Test func `a request longer than a message may be is not sent`() throws {
        let fixture = Fixture()
        let agents = Array(
            repeating: AgentInfo(
                name: String(repeating: "n", count: 255), instanceID: .random(), address: "", software: ""),
            count: 900)
        let future = fixture.connection.request(.agentList(AgentList(agents: agents)), timeout: .seconds(1))
        guard case .failure(SignalError.tooLong) = self.result(future, fixture.loop) else {
            Issue.record("sent")
            return
        }
        #expect(try fixture.sent().isEmpty)
    }

    @Test func `an answer is given to its request`() throws {
        let fixture = Fixture()
        let first = fixture.connection.request(.listAgents(), timeout: .seconds(1))
        let second = fixture.connection.request(.listAgents(), timeout: .seconds(1))
        let ids = try fixture.sent().map(\.id)
        #expect(ids == [1, 3])
        fixture.farSends(Envelope(id: 3, .agentList(AgentList(agents: []))))
        #expect(try self.result(second, fixture.loop)?.get() == .agentList(AgentList(agents: [])))
        #expect(self.result(first, fixture.loop) == nil)
        fixture.farSends(Envelope(id: 1, .failure(Failure(code: .notFound, reason: "no such agent"))))
        let error = #expect(throws: SignalError.self) { try self.result(first, fixture.loop)?.get() }
        #expect(error.map { "\($0)".contains("no such agent") } == true)
    }

    @Test func `as datagrams only bridge messages are accepted, and nothing else does harm`() throws {
        let fixture = Fixture()
        let bridge = Bridge(peerID: .random(), datagrams: ByteBuffer(string: "x"), segmentSize: 1)
        // The same message in another order of its fields, which only the long way understands.
        var other = ByteBuffer(bytes: [0xCA, 0x01, 23, 0x18, 1, 0x12, 1, UInt8(ascii: "x"), 0x0A, 16])
        other.writeBytes(bridge.peerID.bytes)
        for message in [
            Envelope(.goodbye(Goodbye(code: .expired))).encoded(), Envelope(id: 4, .bridge(bridge)).encoded(),
            Envelope(.agentGone(AgentGone(name: "x", instanceID: .random(), reason: .expired))).encoded(),
            ByteBuffer(string: "nonsense"), ByteBuffer(), bridge.envelope(), other,
        ] {
            fixture.far.sendUnreliably(message)
        }
        fixture.loop.run()
        // What comes together is passed on as one.
        let both = Bridge(peerID: bridge.peerID, datagrams: ByteBuffer(string: "xx"), segmentSize: 1)
        #expect(fixture.delegate.events == [.bridge(both)])
        #expect(fixture.delegate.closed.isEmpty && fixture.delegate.requests.isEmpty)
        #expect(try fixture.sent().isEmpty)
    }

    @Test func `datagrams that arrive right before the end are passed on`() {
        let fixture = Fixture()
        let bridge = Bridge(peerID: .random(), datagrams: ByteBuffer(string: "x"))
        fixture.far.sendUnreliably(bridge.envelope())
        fixture.farSends(Envelope(.goodbye(Goodbye(code: .expired))))
        #expect(fixture.delegate.events == [.bridge(bridge)])
        fixture.loop.run()
        #expect(fixture.delegate.events == [.bridge(bridge)])
        #expect(fixture.delegate.closed.count == 1)
    }

    @Test func `datagrams for the bridge are also accepted as messages`() {
        let fixture = Fixture()
        let bridge = Bridge(peerID: .random(), datagrams: ByteBuffer(string: "x"))
        fixture.farSends(Envelope(.bridge(bridge)))
        fixture.loop.run()
        #expect(fixture.delegate.events == [.bridge(bridge)])
    }

    @Test func `a late response is ignored`() throws {
        let fixture = Fixture()
        let future = fixture.connection.request(.listAgents(), timeout: .seconds(1))
        fixture.loop.advanceTime(by: .seconds(1))
        guard case .failure(SignalError.timedOut) = self.result(future, fixture.loop) else {
            Issue.record("not timed out")
            return
        }
        fixture.farSends(Envelope(id: 1, .agentList(AgentList(agents: []))))
        #expect(!fixture.connection.isClosed)
        #expect(fixture.delegate.requests.isEmpty)
    }

    @Test func `the server's requests have even ids`() throws {
        let fixture = Fixture(side: .server)
        _ = fixture.connection.request(.listAgents(), timeout: .seconds(1))
        #expect(try fixture.sent().map(\.id) == [2])
        fixture.connection.close()
    }

    @Test func `requests and events reach the delegate, and answers go out under the same id`() throws {
        let fixture = Fixture(side: .server)
        fixture.delegate.answer = { $0.respond(.agentList(AgentList(agents: []))) }
        fixture.farSends(Envelope(id: 77, .listAgents()))
        fixture.farSends(Envelope(.listAgents()))
        #expect(fixture.delegate.requests.count == 1)
        #expect(fixture.delegate.events == [.listAgents()])
        #expect(try fixture.sent() == [Envelope(id: 77, .agentList(AgentList(agents: [])))])
    }

    @Test func `an unknown request is answered UNSUPPORTED and an unknown event passed over`() throws {
        let fixture = Fixture()
        // Field 1 (id) = 8, then field 1000, a message without content: a body of a later version.
        fixture.far.send(ByteBuffer(bytes: [0x08, 0x08, 0xc2, 0x3e, 0x00]))
        fixture.far.send(ByteBuffer(bytes: [0xc2, 0x3e, 0x00]))
        let sent = try fixture.sent()
        #expect(sent.count == 1)
        #expect(sent.first?.id == 8)
        guard case .failure(let failure) = sent.first?.body else {
            Issue.record("no failure")
            return
        }
        #expect(failure.code == .unsupported)
        #expect(!fixture.connection.isClosed)
    }

    @Test func `an answer that this version does not know fails its request`() throws {
        let fixture = Fixture()
        let future = fixture.connection.request(.listAgents(), timeout: .seconds(1))
        fixture.far.send(ByteBuffer(bytes: [0x08, 0x01, 0xc2, 0x3e, 0x00]))
        guard case .failure(SignalError.unexpectedAnswer) = self.result(future, fixture.loop) else {
            Issue.record("not failed")
            return
        }
        #expect(try fixture.sent().count == 1)
    }

    @Test func `a ping is answered and one goes out every 5 s`() throws {
        let fixture = Fixture()
        fixture.farSends(Envelope(id: 6, .ping))
        #expect(try fixture.sent() == [Envelope(id: 6, .pong)])
        for _ in 0..<5 {
            fixture.loop.advanceTime(by: .seconds(5))
            fixture.farSends(Envelope(.pong))
        }
        #expect(try fixture.sent().filter { $0.body == .ping }.count == 5)
        #expect(!fixture.connection.isClosed)
    }

    @Test func `a connection is dead after 15 s without a byte`() throws {
        let fixture = Fixture()
        let future = fixture.connection.request(.listAgents(), timeout: .seconds(60))
        fixture.loop.advanceTime(by: .milliseconds(14_999))
        #expect(!fixture.connection.isClosed)
        fixture.loop.advanceTime(by: .milliseconds(1))
        #expect(fixture.connection.isClosed)
        #expect(fixture.delegate.closed.count == 1)
        guard case .failure(SignalError.connectionLost(.silent)) = self.result(future, fixture.loop) else {
            Issue.record("the request did not fail")
            return
        }
    }

    @Test func `a connection that is checked and gives no sign of life is over`() {
        let fixture = Fixture()
        fixture.loop.advanceTime(by: .milliseconds(1))
        fixture.connection.check(within: .seconds(3))
        fixture.loop.advanceTime(by: .seconds(2))
        // Being asked again gives no more time.
        fixture.connection.check(within: .seconds(3))
        fixture.loop.advanceTime(by: .milliseconds(999))
        #expect(!fixture.connection.isClosed)
        fixture.loop.advanceTime(by: .milliseconds(1))
        #expect(fixture.connection.isClosed)
        guard case .unanswered(.seconds(3)) = fixture.delegate.closed.first else {
            Issue.record("\(fixture.delegate.closed)")
            return
        }
    }

    @Test func `any byte is a sign of life, and the next check asks for another`() throws {
        let fixture = Fixture()
        fixture.loop.advanceTime(by: .milliseconds(1))
        fixture.connection.check(within: .seconds(3))
        #expect(try fixture.sent().map(\.body) == [.ping])
        fixture.loop.advanceTime(by: .seconds(1))
        fixture.farSends(Envelope(.pong))
        fixture.loop.advanceTime(by: .seconds(5))
        #expect(!fixture.connection.isClosed)
        fixture.connection.check(within: .seconds(3))
        fixture.loop.advanceTime(by: .seconds(3))
        #expect(fixture.connection.isClosed)
    }

    @Test func `a goodbye is reported`() {
        let fixture = Fixture()
        fixture.farSends(Envelope(.goodbye(Goodbye(code: .replaced, reason: "newer"))))
        guard case .goodbye(let goodbye) = fixture.delegate.closed.first else {
            Issue.record("no goodbye")
            return
        }
        #expect(goodbye == Goodbye(code: .replaced, reason: "newer"))
        #expect(fixture.connection.isClosed)
    }

    private static let nonce = [UInt8](repeating: 0, count: 32)

    @Test(arguments: [
        ByteBuffer(bytes: [0xff, 0xff, 0xff]),
        Envelope(.serverHello(ServerHello(versions: [1], serverNonce: nonce, bindingTypes: [], software: "")))
            .encoded(),
    ])
    func `garbage and handshake messages end the connection with a goodbye`(message: ByteBuffer) throws {
        let fixture = Fixture()
        fixture.far.send(message)
        guard case .goodbye(let goodbye) = try fixture.sent().last?.body else {
            Issue.record("no goodbye")
            return
        }
        #expect(goodbye.code == .badRequest)
        guard case .protocolViolation = fixture.delegate.closed.first else {
            Issue.record("not a violation")
            return
        }
    }

    @Test func `a lost link fails what is pending and is told once`() {
        let fixture = Fixture()
        let future = fixture.connection.request(.listAgents(), timeout: .seconds(60))
        fixture.far.close()
        guard case .failure(SignalError.connectionLost(.linkClosed(nil))) = self.result(future, fixture.loop) else {
            Issue.record("the request did not fail")
            return
        }
        fixture.connection.close()
        #expect(fixture.delegate.closed.count == 1)
        guard
            case .failure(SignalError.notConnected) = self.result(
                fixture.connection.request(.listAgents(), timeout: .seconds(1)), fixture.loop)
        else {
            Issue.record("a closed connection took a request")
            return
        }
    }

    @Test func `the number of unanswered requests is limited`() {
        let fixture = Fixture()
        let limit = SignalConnection.maximumPendingRequests
        let futures = (0...limit).map { _ in fixture.connection.request(.listAgents(), timeout: .seconds(1)) }
        guard case .failure(SignalError.tooManyRequests) = self.result(futures[limit], fixture.loop) else {
            Issue.record("no limit")
            return
        }
        fixture.connection.close()
        #expect(futures.allSatisfy { self.result($0, fixture.loop) != nil })
    }

    @Test func `random bytes never trap`() {
        var generator = CountingGenerator(value: 5)
        for _ in 0..<500 {
            let fixture = Fixture()
            let count = Int.random(in: 0..<64, using: &generator)
            fixture.far.send(ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }))
            fixture.loop.run()
            fixture.connection.close()
        }
    }
}
