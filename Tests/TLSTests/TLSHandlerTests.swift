import NIOCore
import NIOEmbedded
import NIOTLS
import TLS
import Testing

@Suite struct TLSHandlerTests {
    @Test func `the handshake starts when the channel becomes active and ends with an event`() throws {
        let pair = try ChannelPair()
        try pair.run()
        #expect(pair.clientEvents.handshakes == ["http/1.1"])
        #expect(pair.serverEvents.handshakes == ["http/1.1"])
        #expect(pair.clientHandler.exporterChannelBinding != nil)
        #expect(pair.clientHandler.exporterChannelBinding == pair.serverHandler.exporterChannelBinding)
        try pair.finish()
    }

    @Test func `what is written during the handshake is sent after it, in order`() throws {
        let pair = try ChannelPair()
        pair.server.allowRemoteHalfClosure = true
        let promise = pair.client.eventLoop.makePromise(of: Void.self)
        pair.client.write(ByteBuffer(string: "one "), promise: nil)
        pair.client.writeAndFlush(ByteBuffer(string: "two "), promise: promise)
        pair.client.close(mode: .output, promise: nil)
        try pair.run()
        try promise.futureResult.wait()
        #expect(pair.serverEvents.received == Array("one two ".utf8))
        #expect(pair.serverEvents.isInputClosed)
        try pair.finish()
    }

    @Test func `what is written during the handshake is bounded`() throws {
        let pair = try ChannelPair()
        let megabyte = ByteBuffer(repeating: 1, count: 1 << 20)
        pair.client.write(megabyte, promise: nil)
        let promise = pair.client.eventLoop.makePromise(of: Void.self)
        pair.client.writeAndFlush(ByteBuffer(string: "x"), promise: promise)
        #expect(throws: TLSError.backlogFull(limit: 1 << 20)) { try promise.futureResult.wait() }
        try pair.run()
        #expect(pair.serverEvents.received.count == 1 << 20)
        try pair.finish()
    }

    @Test func `small writes share a record and wait for the flush; large ones do not wait`() throws {
        let pair = try ChannelPair()
        try pair.run()
        pair.client.write(ByteBuffer(string: "header"), promise: nil)
        pair.client.write(ByteBuffer(string: "body"), promise: nil)
        #expect(try pair.client.readOutbound(as: ByteBuffer.self) == nil)
        pair.client.flush()
        let record = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        #expect(record.readableBytes == 5 + 10 + 1 + 16)
        #expect(try pair.client.readOutbound(as: ByteBuffer.self) == nil)
        try pair.server.writeInbound(record)
        #expect(pair.serverEvents.received == Array("headerbody".utf8))

        pair.client.write(ByteBuffer(repeating: 0, count: 100_000), promise: nil)
        pair.client.pipeline.flush()
        try pair.run()
        #expect(pair.serverEvents.received.count == 100_010)
        try pair.finish()
    }

    @Test func `all promises of a shared record are kept`() throws {
        let pair = try ChannelPair()
        try pair.run()
        let promises = (0..<5).map { _ in pair.client.eventLoop.makePromise(of: Void.self) }
        for (index, promise) in promises.enumerated() {
            pair.client.write(ByteBuffer(string: "\(index)"), promise: index == 2 ? nil : promise)
        }
        promises[2].succeed()
        pair.client.flush()
        for promise in promises { try promise.futureResult.wait() }
        try pair.run()
        #expect(pair.serverEvents.received == Array("01234".utf8))
        try pair.finish()
    }

    @Test func `a read that brings no plaintext is repeated`() throws {
        let pair = try ChannelPair()
        try pair.run()
        pair.client.writeAndFlush(ByteBuffer(string: "hello"), promise: nil)
        var record = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        let counter = pair.serverReads
        pair.server.read()
        let asked = counter.count
        let part = record.readSlice(length: 10)
        try pair.server.writeInbound(#require(part))
        #expect(counter.count == asked + 1)
        try pair.server.writeInbound(record)
        #expect(counter.count == asked + 1)
        #expect(pair.serverEvents.received == Array("hello".utf8))
        try pair.finish()
    }

    @Test func `close sends what was written and close_notify, and the peer closes too`() throws {
        let pair = try ChannelPair()
        try pair.run()
        pair.client.write(ByteBuffer(string: "goodbye"), promise: nil)
        let closed = pair.client.close()
        try pair.run()
        try closed.wait()
        #expect(pair.serverEvents.received == Array("goodbye".utf8))
        #expect(pair.serverEvents.isShutdown)
        #expect(pair.serverEvents.errors.isEmpty)
        #expect(!pair.server.isActive && !pair.client.isActive)
    }

    @Test func `a half-closed channel goes on sending`() throws {
        let pair = try ChannelPair()
        pair.server.allowRemoteHalfClosure = true
        try pair.run()
        pair.client.close(mode: .output, promise: nil)
        try pair.run()
        #expect(pair.serverEvents.isInputClosed && pair.server.isActive)
        // The socket's own end of input, right behind, is not told twice.
        pair.serverEvents.isInputClosed = false
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(!pair.serverEvents.isInputClosed && pair.serverEvents.errors.isEmpty)

        pair.server.writeAndFlush(ByteBuffer(string: "still here"), promise: nil)
        try pair.run()
        #expect(pair.clientEvents.received == Array("still here".utf8))

        // With both directions closed, nothing is left to wait for.
        try pair.server.close(mode: .output).wait()
        #expect(!pair.server.isActive)
        try pair.run()
        #expect(!pair.client.isActive && pair.clientEvents.isShutdown)
        #expect(pair.clientEvents.errors.isEmpty && pair.serverEvents.errors.isEmpty)
    }

    @Test func `the end of the channel without close_notify is an error`() throws {
        let pair = try ChannelPair()
        try pair.run()
        pair.server.pipeline.fireChannelInactive()
        #expect(pair.serverEvents.errors == [.truncated])
        #expect(throws: TLSError.closed) { try pair.server.writeAndFlush(ByteBuffer(string: "x")).wait() }
    }

    @Test func `the end of input without close_notify is an error on a half-closable channel, too`() throws {
        let pair = try ChannelPair()
        pair.server.allowRemoteHalfClosure = true
        try pair.run()
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(pair.serverEvents.errors == [.truncated])
        #expect(!pair.serverEvents.isInputClosed && !pair.server.isActive)
    }

    @Test func `a refused certificate fails waiting writes, and the peer hears why`() throws {
        let other = try Identity.selfSigned(commonName: "other")
        let pair = try ChannelPair(verification: .fingerprint(other.leafFingerprint))
        let written = pair.client.writeAndFlush(ByteBuffer(string: "never sent"))
        try pair.run()
        #expect(pair.clientEvents.errors.first?.rejection != nil)
        #expect(pair.serverEvents.errors == [.alertReceived("bad certificate")])
        #expect(throws: TLSError.self) { try written.wait() }
        #expect(!pair.client.isActive && !pair.server.isActive)
        #expect(pair.serverEvents.received.isEmpty)
    }

    @Test func `garbage closes the channel with an error`() throws {
        let pair = try ChannelPair()
        try pair.server.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
        #expect(pair.serverEvents.errors.count == 1)
        #expect(!pair.server.isActive)
    }

    @Test func `closing during the handshake fails waiting writes`() throws {
        let pair = try ChannelPair()
        let written = pair.client.write(ByteBuffer(string: "x"))
        let halfClosed = pair.client.close(mode: .output)
        try pair.client.close().wait()
        #expect(throws: TLSError.closed) { try written.wait() }
        #expect(throws: TLSError.closed) { try halfClosed.wait() }
    }

    @Test func `a peer that does not read cannot delay a close indefinitely`() throws {
        let pair = try ChannelPair()
        try pair.run()
        pair.clientSocket.isStalling = true
        let closed = pair.client.close()
        #expect(pair.client.isActive)
        pair.client.embeddedEventLoop.advanceTime(by: .seconds(5))
        try closed.wait()
        #expect(!pair.client.isActive)
        pair.clientSocket.release()
    }
}

/// Two embedded channels with TLS, and what was fired at the end of each pipeline.
private final class ChannelPair {
    let client: EmbeddedChannel
    let server: EmbeddedChannel
    let clientHandler: TLSHandler
    let serverHandler: TLSHandler
    let clientEvents = EventRecorder()
    let serverEvents = EventRecorder()
    let serverReads = ReadCounter()
    let clientSocket = SocketStandIn()

    init(verification: PeerVerification? = nil) throws {
        let identity = try #require(Identity.shared)
        self.clientHandler = try TLSHandler(
            context: .client(verification: verification ?? .fingerprint(identity.leafFingerprint)),
            serverName: "broker.example")
        self.serverHandler = try TLSHandler(context: .server(identity: identity))
        self.client = EmbeddedChannel()
        self.server = EmbeddedChannel()
        try self.client.pipeline.syncOperations.addHandlers([
            self.clientSocket, self.clientHandler, self.clientEvents,
        ])
        try self.server.pipeline.syncOperations.addHandlers([
            SocketStandIn(), self.serverReads, self.serverHandler, self.serverEvents,
        ])
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        self.client.connect(to: address, promise: nil)
        self.server.connect(to: address, promise: nil)
    }

    /// Moves bytes until nobody has any.
    func run() throws {
        var moved = true
        while moved {
            moved = false
            self.client.embeddedEventLoop.run()
            self.server.embeddedEventLoop.run()
            while let bytes = try self.client.readOutbound(as: ByteBuffer.self) {
                moved = true
                if self.server.isActive { try self.server.writeInbound(bytes) }
            }
            while let bytes = try self.server.readOutbound(as: ByteBuffer.self) {
                moved = true
                if self.client.isActive { try self.client.writeInbound(bytes) }
            }
        }
    }

    func finish() throws {
        self.client.close(promise: nil)
        try self.run()
        #expect(self.clientEvents.errors.isEmpty && self.serverEvents.errors.isEmpty)
    }
}

private final class EventRecorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var received: [UInt8] = []
    var handshakes: [String?] = []
    var isInputClosed = false
    var isShutdown = false
    var errors: [TLSError] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.received += Array(buffer: self.unwrapInboundIn(data))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted(let negotiated): self.handshakes.append(negotiated)
        case TLSUserEvent.shutdownCompleted: self.isShutdown = true
        case ChannelEvent.inputClosed: self.isInputClosed = true
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? TLSError { self.errors.append(error) }
    }
}

private final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    var count = 0

    func read(context: ChannelHandlerContext) {
        self.count += 1
        context.read()
    }
}

/// Does what an embedded channel does not: closing the output alone, and (when told to) a peer that does not read.
private final class SocketStandIn: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    var isStalling = false
    private var promises: [EventLoopPromise<Void>?] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if self.isStalling {
            self.promises.append(promise)
        } else {
            context.write(data, promise: promise)
        }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output {
            promise?.succeed()
        } else {
            context.close(mode: mode, promise: promise)
        }
    }

    func release() {
        for promise in self.promises { promise?.succeed() }
        self.promises = []
    }
}
