import Basics
import FlowLedger
import NIOCore
import NIOEmbedded
import Testing
import TunnelClient

@testable import rtun_relay

/// Records what is asked of it; the test answers.
private final class FakeConnector: TargetConnector {
    var requests: [(target: Target, origin: FlowOrigin, completion: (TargetResult) -> Void)] = []
    var cancelled: [RequestID] = []

    func connect(
        to target: Target, for origin: FlowOrigin, completion: @escaping (TargetResult) -> Void
    ) -> RequestID {
        self.requests.append((target, origin, completion))
        return RequestID(rawValue: UInt64(self.requests.count))
    }

    func cancel(_ id: RequestID) { self.cancelled.append(id) }
}

/// What takes over from the handler.
private final class FakeCarrier: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    var received = ""
    var isInputClosed = false
    var isAbandoned = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.received += String(buffer: self.unwrapInboundIn(data))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed = event as? ChannelEvent { self.isInputClosed = true }
    }

    var connection: TargetConnection {
        TargetConnection(
            boundAddress: nil, makeHandler: { self }, makeStream: { preconditionFailure("a tunnel is asked for") },
            abandon: { self.isAbandoned = true })
    }
}

@Suite struct TCPClientHandlerTests {
    private final class Failures {
        var all: [ConnectFailure] = []
    }

    private let connector = FakeConnector()
    private let carrier = FakeCarrier()
    private let failures = Failures()
    private let channel: EmbeddedChannel
    private var loop: EmbeddedEventLoop { self.channel.embeddedEventLoop }

    init() throws {
        let target = Target(host: .ipv4([10, 1, 0, 9]), port: 22)
        let failures = self.failures
        self.channel = EmbeddedChannel(
            handler: TCPClientHandler(target: target, connector: self.connector) { failure, _ in
                failures.all.append(failure)
            })
        try self.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private func answer(_ result: TargetResult) { self.connector.requests[0].completion(result) }

    private var isOpen: Bool {
        self.loop.run()
        return self.channel.isActive
    }

    @Test func `a client is connected to the rule's target without having said anything`() throws {
        #expect(self.connector.requests.map(\.target.description) == ["10.1.0.9:22"])
        #expect(self.connector.requests.map(\.origin.kind) == [.tcp])
        self.answer(.connected(self.carrier.connection))
        self.loop.run()
        try self.channel.writeInbound(ByteBuffer(string: "hello"))
        #expect(self.carrier.received == "hello")
        #expect(throws: ChannelPipelineError.self) {
            try self.channel.pipeline.syncOperations.context(handlerType: TCPClientHandler.self)
        }
        #expect(self.connector.cancelled.isEmpty)
        _ = try self.channel.finish()
        #expect(!self.carrier.isAbandoned)
    }

    @Test func `what a client said before it ended its sending direction comes first, then its end`() throws {
        try self.channel.writeInbound(ByteBuffer(string: "GET"))
        try self.channel.writeInbound(ByteBuffer(string: " /"))
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(self.isOpen)
        self.answer(.connected(self.carrier.connection))
        #expect(self.carrier.received == "GET /")
        #expect(self.carrier.isInputClosed)
        _ = try self.channel.finish()
    }

    @Test func `a client that cannot be connected is closed, and its owner hears why`() throws {
        let failure = ConnectFailure(.refused, reason: "nobody listens")
        self.answer(.failed(failure))
        #expect(self.failures.all == [failure])
        #expect(!self.isOpen)
        #expect(self.connector.cancelled.isEmpty)
    }

    @Test func `a client that leaves early is forgotten, and a late connection given up`() throws {
        _ = try self.channel.finish()
        #expect(self.connector.cancelled == [RequestID(rawValue: 1)])
        self.answer(.connected(self.carrier.connection))
        #expect(self.carrier.isAbandoned)
        #expect(self.failures.all.isEmpty)
    }

    @Test func `a client that breaks its connection early is forgotten`() throws {
        self.channel.pipeline.fireErrorCaught(ChannelError.ioOnClosedChannel)
        #expect(!self.isOpen)
        #expect(self.connector.cancelled == [RequestID(rawValue: 1)])
    }
}
