import Basics
import FlowLedger
import HTTPProxy
import Logging
import NIOCore
import NIOEmbedded
import PeerTestSupport
import Testing
import Tunnel
import TunnelClient

@testable import rtun_socks

@Suite struct `HTTP connection handler` {
    /// Counts what the channel is asked for.
    private final class Wire: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var reads = 0
        var isOutputClosed = false
        /// Keeps writes unfinished, as a full socket does.
        var isStuck = false
        private var held: [(NIOAny, EventLoopPromise<Void>?)] = []

        func read(context: ChannelHandlerContext) { self.reads += 1 }

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            if self.isStuck { self.held.append((data, promise)) } else { context.write(data, promise: promise) }
        }

        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            if mode == .output { self.isOutputClosed = true } else { context.close(mode: mode, promise: promise) }
        }

        func release(_ context: ChannelHandlerContext) {
            self.isStuck = false
            for (data, promise) in self.held { context.write(data, promise: promise) }
            self.held = []
            context.flush()
        }
    }

    private final class Heard {
        var requests = 0
        var idle = 0
        var refusals: [HTTPRefusal] = []
    }

    private let connector = FakeConnector()
    private let wire = Wire()
    private let heard = Heard()
    private let channel = EmbeddedChannel()
    private let handler: HTTPConnectionHandler
    private var loop: EmbeddedEventLoop { self.channel.embeddedEventLoop }

    private static let get = "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let post = "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n"
    private static let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"

    init() throws {
        let heard = self.heard
        self.handler = HTTPConnectionHandler(
            HTTPProxyMachine.Configuration(), connector: self.connector, watch: nil,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            listener: HTTPConnectionHandler.Listener(
                requestCame: { heard.requests += 1 }, becameIdle: { heard.idle += 1 },
                turnedAway: { refusal, _ in heard.refusals.append(refusal) }))
        try self.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try self.channel.pipeline.syncOperations.addHandlers([self.wire, self.handler])
    }

    private func send(_ text: String) throws { try self.channel.writeInbound(ByteBuffer(string: text)) }

    private func closeInput() { self.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }

    /// What the client has got since the last call.
    private func answer() throws -> String {
        self.loop.run()
        var text = ""
        while let bytes = try self.channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text
    }

    private var isOver: Bool {
        self.loop.run()
        return !self.channel.isActive
    }

    /// The target is there, on a stream of its own.
    private func connect(_ request: Int = 0) -> FakeStream {
        let stream = FakeStream()
        self.connector.requests[request].completion(
            .connected(
                TargetConnection(
                    boundAddress: nil, makeHandler: { preconditionFailure("no tunnel is asked for") },
                    makeStream: {
                        TargetStream(
                            stream, eventLoop: self.loop,
                            makeSplice: {
                                StreamSplice(
                                    splicing: stream, watch: nil, socket: { ConnectionSocket($0) }, closed: $0)
                            }, ended: { _, _ in })
                    }, abandon: {})))
        return stream
    }

    // MARK: Exchanges

    @Test func `requests and answers go through, and the target's connection stays`() throws {
        try self.send(Self.get)
        #expect(self.connector.requests.map(\.target.description) == ["a:80"])
        #expect(self.connector.requests.map(\.origin) == [FlowOrigin(.http, client: "127.0.0.1:1")])
        let stream = self.connect()
        #expect(stream.takeWritten() == "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        stream.receive(Self.response)
        #expect(try self.answer() == Self.response)
        #expect(stream.consumed == Self.response.utf8.count)
        try self.send(Self.get)
        #expect(stream.takeWritten() == "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(self.connector.requests.count == 1)
        #expect(self.heard.requests == 2)
        #expect(self.heard.idle == 1)
        _ = try self.channel.finish()
        #expect(stream.isReset && stream.isStopped)
    }

    @Test func `a client that leaves between requests ends the target's connection in good order`() throws {
        try self.send(Self.get)
        let stream = self.connect()
        stream.receive(Self.response)
        self.closeInput()
        #expect(self.isOver)
        #expect(stream.isFinished && !stream.isReset)
        stream.consumer?.streamFinished()
        self.loop.advanceTime(by: .seconds(10))
        #expect(!stream.isReset)
    }

    @Test func `a target that does not close after us is broken off`() throws {
        try self.send(Self.get)
        let stream = self.connect()
        stream.receive(Self.response)
        self.closeInput()
        stream.receive("more")
        #expect(stream.consumed == Self.response.utf8.count + 4)
        self.loop.advanceTime(by: .seconds(5))
        #expect(stream.isReset)
    }

    @Test func `a client that leaves while the target is dialled is forgotten`() throws {
        try self.send(Self.get)
        _ = try self.channel.finish()
        #expect(self.connector.cancelled == [RequestID(rawValue: 1)])
    }

    @Test func `a target that cannot be had is answered with its reason, and the connection stays`() throws {
        try self.send(Self.get)
        self.connector.requests[0].completion(.failed(ConnectFailure(.policy, reason: "not allowed")))
        let answer = try self.answer()
        #expect(answer.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
        #expect(answer.hasSuffix("\r\n\r\na:80: not allowed\n"))
        try self.send(Self.get)
        #expect(self.connector.requests.count == 2)
        self.connector.requests[1].completion(.failed(ConnectFailure(.timedOut, reason: "")))
        #expect(try self.answer().hasPrefix("HTTP/1.1 504 "))
    }

    @Test func `a stream that breaks in the middle of an answer resets the client`() throws {
        try self.send(Self.get)
        let stream = self.connect()
        stream.receive("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
        stream.consumer?.streamReset()
        #expect(try self.answer().hasSuffix("ab"))
        #expect(self.isOver)
        #expect(!self.wire.isOutputClosed)
    }

    // MARK: Room

    @Test func `nothing is read that the target has no room for, nor behind a request`() throws {
        try self.send(Self.post)
        #expect(self.wire.reads == 0)
        let stream = self.connect()
        #expect(self.wire.reads == 1)
        stream.isWritable = false
        try self.send("abcd")
        #expect(self.wire.reads == 1)
        stream.isWritable = true
        stream.consumer?.streamBecameWritable()
        #expect(self.wire.reads == 2)
        try self.send("efgh")
        #expect(self.wire.reads == 2)
        #expect(stream.takeWritten().hasSuffix("abcdefgh"))
        stream.receive(Self.response)
        #expect(self.wire.reads == 3)
    }

    @Test func `the target gets no credit for what the client does not take`() throws {
        try self.send(Self.get)
        let stream = self.connect()
        self.channel.isWritable = false
        stream.receive(Self.response)
        #expect(stream.consumed == 0)
        self.channel.isWritable = true
        self.channel.pipeline.fireChannelWritabilityChanged()
        #expect(stream.consumed == Self.response.utf8.count)
    }

    // MARK: Tunnels

    @Test func `CONNECT hands over the early bytes, in order, after the answer, and the client's end`() throws {
        let carrier = FakeCarrier()
        try self.send("CONNECT a:443 HTTP/1.1\r\n\r\nearly")
        self.closeInput()
        #expect(!self.isOver)
        self.connector.requests[0].completion(.connected(carrier.connection))
        #expect(try self.answer() == "HTTP/1.1 200 Connection established\r\n\r\n")
        #expect(carrier.received == "early")
        #expect(carrier.isInputClosed)
        #expect(throws: ChannelPipelineError.self) {
            try self.channel.pipeline.syncOperations.context(handlerType: HTTPConnectionHandler.self)
        }
        self.loop.advanceTime(by: .hours(1))
        #expect(!self.isOver)
        _ = try self.channel.finish()
        #expect(!carrier.isAbandoned)
    }

    @Test func `another protocol takes the target's stream over`() throws {
        try self.send("GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        let stream = self.connect()
        try self.send("from the client")
        let head = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        _ = stream.takeWritten()
        stream.receive(head + "from the server")
        #expect(try self.answer().hasPrefix("HTTP/1.1 101 Switching\r\n"))
        #expect(stream.unread == "from the server")
        #expect(stream.consumed == head.utf8.count)
        #expect(stream.takeWritten() == "from the client")
        try self.send("more")
        #expect(stream.takeWritten() == "more")
        stream.receive("more")
        #expect(try self.answer() == "more")
        _ = try self.channel.finish()
    }

    // MARK: The end

    @Test func `an answer that is the last one arrives, and the client has some time to close`() throws {
        self.wire.isStuck = true
        try self.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(self.heard.refusals == [.notForProxy])
        self.loop.advanceTime(by: .seconds(60))
        #expect(!self.isOver)
        #expect(!self.wire.isOutputClosed)
        self.wire.release(try self.channel.pipeline.syncOperations.context(handlerType: Wire.self))
        #expect(try self.answer().hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(self.wire.isOutputClosed)
        #expect(self.heard.idle == 1)
        try self.send("what is sent now is thrown away")
        self.loop.advanceTime(by: .seconds(4))
        #expect(!self.isOver)
        self.loop.advanceTime(by: .seconds(1))
        #expect(self.isOver)
    }

    @Test func `a client that has closed needs no farewell`() throws {
        try self.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(!self.isOver)
        self.closeInput()
        #expect(self.isOver)
    }

    @Test func `requests have thirty seconds, and two minutes to begin`() throws {
        try self.send("GET http://a/ HTTP/1.1\r\n")
        self.loop.advanceTime(by: .seconds(29))
        #expect(!self.isOver)
        try self.send("Host: a\r\n\r\n")
        let stream = self.connect()
        self.loop.advanceTime(by: .hours(1))
        #expect(!self.isOver)
        stream.receive(Self.response)
        self.loop.advanceTime(by: .seconds(119))
        try self.send("G")
        self.loop.advanceTime(by: .seconds(29))
        #expect(!self.isOver)
        try self.send("ET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")
        stream.receive(Self.response)
        self.loop.advanceTime(by: .seconds(119))
        #expect(!self.isOver)
        self.loop.advanceTime(by: .seconds(1))
        #expect(self.isOver)
        #expect(stream.isFinished)
    }

    @Test func `a client that says too little is closed after thirty seconds`() throws {
        try self.send("GET http://a/ HTTP/1.1\r\n")
        self.loop.advanceTime(by: .seconds(30))
        #expect(self.isOver)
        #expect(self.heard.requests == 0)
    }
}
