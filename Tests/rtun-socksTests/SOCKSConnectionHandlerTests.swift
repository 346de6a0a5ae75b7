import Logging
import NIOCore
import NIOEmbedded
import PeerTestSupport
import SOCKS
import Testing
import TunnelClient

@testable import rtun_socks

@Suite struct `SOCKS connection handler` {
    private let connector = FakeConnector()
    private let channel: EmbeddedChannel
    private var loop: EmbeddedEventLoop { self.channel.embeddedEventLoop }

    init() throws {
        self.channel = EmbeddedChannel(
            handler: SOCKSConnectionHandler(
                credentials: SOCKSCredentials(), connector: self.connector,
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })))
        try self.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private func sent() throws -> [UInt8]? {
        try self.channel.readOutbound(as: ByteBuffer.self).map { [UInt8](buffer: $0) }
    }

    private func send(_ bytes: [UInt8]) throws {
        try self.channel.writeInbound(ByteBuffer(bytes: bytes))
    }

    /// Everything up to the moment when the target is dialled.
    private func negotiate(early: String = "") throws {
        try self.send([5, 1, 0])
        #expect(try self.sent() == [5, 0])
        try self.send([5, 1, 0, 1, 127, 0, 0, 1, 0, 80] + Array(early.utf8))
        #expect(self.connector.requests.map(\.target.description) == ["127.0.0.1:80"])
    }

    private var isOver: Bool {
        self.loop.run()
        return !self.channel.isActive
    }

    @Test func `hands over the early bytes, in order, after the answer`() throws {
        let carrier = FakeCarrier()
        try self.negotiate(early: "GE")
        try self.send(Array("T".utf8))
        self.connector.requests[0].completion(.connected(carrier.connection))
        #expect(try self.sent() == [5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        #expect(carrier.received == "GET")
        self.loop.run()
        try self.send(Array(" /".utf8))
        #expect(carrier.received == "GET /")
        #expect(throws: ChannelPipelineError.self) {
            try self.channel.pipeline.syncOperations.context(handlerType: SOCKSConnectionHandler.self)
        }
        #expect(self.connector.cancelled.isEmpty)
        _ = try self.channel.finish()
        #expect(!carrier.isAbandoned)
    }

    @Test func `a client that has closed its sending side is still served`() throws {
        let carrier = FakeCarrier()
        try self.negotiate(early: "x")
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(!self.isOver)
        self.connector.requests[0].completion(.connected(carrier.connection))
        #expect(carrier.received == "x")
        #expect(carrier.isInputClosed)
        _ = try self.channel.finish()
    }

    @Test func `a client that leaves while the target is dialled is forgotten`() throws {
        let carrier = FakeCarrier()
        try self.negotiate()
        _ = try self.channel.finish()
        #expect(self.connector.cancelled == [RequestID(rawValue: 1)])
        self.connector.requests[0].completion(.connected(carrier.connection))
        #expect(carrier.isAbandoned)
    }

    @Test func `a failed dial is answered, then the connection closes`() throws {
        try self.negotiate()
        self.connector.requests[0].completion(.failed(ConnectFailure(.refused, reason: "")))
        #expect(try self.sent() == [5, 5, 0, 1, 0, 0, 0, 0, 0, 0])
        self.loop.advanceTime(by: .seconds(1))
        #expect(self.isOver)
        #expect(self.connector.cancelled.isEmpty)
    }

    @Test func `a refused client is answered, then the connection closes`() throws {
        try self.send([5, 1, 0])
        #expect(try self.sent() == [5, 0])
        try self.send([5, 2, 0, 1, 127, 0, 0, 1, 0, 80])
        #expect(try self.sent() == [5, 7, 0, 1, 0, 0, 0, 0, 0, 0])
        #expect(self.connector.requests.isEmpty)
        self.loop.advanceTime(by: .seconds(1))
        #expect(self.isOver)
    }

    @Test func `something that is not SOCKS is closed at once`() throws {
        try self.send([0x16, 0x03, 0x01, 0x02, 0x00])
        #expect(try self.sent() == nil)
        #expect(self.isOver)
    }

    @Test func `a client that says nothing is closed after thirty seconds`() throws {
        try self.send([5])
        self.loop.advanceTime(by: .seconds(29))
        #expect(!self.isOver)
        self.loop.advanceTime(by: .seconds(1))
        #expect(self.isOver)
    }

    @Test func `the time for the handshake does not run while the target is dialled`() throws {
        try self.negotiate()
        self.loop.advanceTime(by: .seconds(60))
        #expect(!self.isOver)
        _ = try self.channel.finish()
    }

    @Test func `a client that closes halfway through its request is closed`() throws {
        try self.send([5, 1])
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(self.isOver)
    }
}
