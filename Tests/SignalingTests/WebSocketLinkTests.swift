import NIOCore
import NIOEmbedded
import NIOWebSocket
import Testing

@testable import Signaling

/// The handler alone, frame by frame.
@Suite struct WebSocketLinkTests {
    private struct Fixture {
        let channel = EmbeddedChannel()
        let link: WebSocketLink
        let delegate = RecordingLinkDelegate()

        init(side: WebSocketLink.Side = .client) throws {
            self.link = WebSocketLink(side: side, eventLoop: self.channel.eventLoop)
            try self.channel.pipeline.syncOperations.addHandler(self.link)
            try self.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            self.link.delegate = self.delegate
        }

        func receive(_ opcode: WebSocketOpcode, _ data: ByteBuffer = ByteBuffer()) throws {
            try self.channel.writeInbound(WebSocketFrame(fin: true, opcode: opcode, data: data))
        }

        func sent() throws -> WebSocketFrame? {
            try self.channel.readOutbound(as: WebSocketFrame.self)
        }
    }

    @Test func `a ping is answered with its content`() throws {
        let fixture = try Fixture()
        try fixture.receive(.ping, ByteBuffer(string: "abc"))
        let pong = try #require(try fixture.sent())
        #expect(pong.opcode == .pong)
        #expect(pong.data == ByteBuffer(string: "abc"))
    }

    @Test(arguments: [WebSocketLink.Side.client, .server]) func `only a client masks`(side: WebSocketLink.Side) throws {
        let fixture = try Fixture(side: side)
        fixture.link.send(ByteBuffer(string: "x"))
        #expect((try fixture.sent()?.maskKey != nil) == (side == .client))
    }

    @Test func `messages wait for a delegate`() throws {
        let fixture = try Fixture()
        fixture.link.delegate = nil
        try fixture.receive(.binary, ByteBuffer(string: "1"))
        try fixture.receive(.binary, ByteBuffer(string: "2"))
        #expect(fixture.delegate.messages.isEmpty)
        fixture.link.delegate = fixture.delegate
        #expect(fixture.delegate.messages.map { String(buffer: $0) } == ["1", "2"])
    }

    @Test func `the end waits for a delegate too`() throws {
        let fixture = try Fixture()
        fixture.link.delegate = nil
        try fixture.receive(.binary, ByteBuffer(string: "1"))
        fixture.channel.pipeline.fireChannelInactive()
        fixture.link.delegate = fixture.delegate
        #expect(fixture.delegate.messages.count == 1)
        #expect(fixture.delegate.ends.count == 1)
    }

    @Test func `the size of messages that nobody takes is limited`() throws {
        let fixture = try Fixture()
        fixture.link.delegate = nil
        let message = ByteBuffer(repeating: 0, count: SignalLinkLimits.maximumMessageSize)
        for _ in 0..<8 { try fixture.receive(.binary, message) }
        #expect(try fixture.sent()?.opcode == .connectionClose)
    }

    @Test func `a close of the peer is answered and reported as orderly`() throws {
        let fixture = try Fixture()
        var data = ByteBuffer()
        data.write(webSocketErrorCode: .goingAway)
        try fixture.receive(.connectionClose, data)
        let answer = try #require(try fixture.sent())
        #expect(answer.opcode == .connectionClose)
        var echoed = answer.data
        #expect(echoed.readWebSocketErrorCode() == .goingAway)
        #expect(fixture.delegate.ends.count == 1)
        #expect(fixture.delegate.ends.allSatisfy { $0 == nil })
        #expect(!fixture.channel.isActive)
    }

    @Test func `our close waits for the peer's, but not indefinitely`() throws {
        for peerAnswers in [true, false] {
            let fixture = try Fixture()
            let closed = fixture.channel.eventLoop.makePromise(of: Void.self)
            var isClosed = false
            closed.futureResult.assumeIsolated().whenSuccess { isClosed = true }
            fixture.link.close(closed)
            #expect(try fixture.sent()?.opcode == .connectionClose)
            #expect(fixture.channel.isActive && !isClosed)
            try fixture.receive(.binary, ByteBuffer(string: "too late"))
            if peerAnswers {
                try fixture.receive(.connectionClose)
            } else {
                fixture.channel.embeddedEventLoop.advanceTime(by: SignalLinkLimits.closeTimeout)
            }
            #expect(!fixture.channel.isActive && isClosed)
            #expect(fixture.delegate.ends.isEmpty && fixture.delegate.messages.isEmpty)
        }
    }

    @Test func `a channel that ends without a close frame is not an orderly end`() throws {
        let fixture = try Fixture()
        try fixture.channel.close().wait()
        #expect(fixture.delegate.ends.first as? SignalLinkError == .truncated)
        fixture.link.send(ByteBuffer(string: "x"))
        fixture.link.close()
        #expect(fixture.delegate.ends.count == 1)
    }

    @Test func `any byte counts as a sign of life`() throws {
        let fixture = try Fixture()
        let loop = fixture.channel.embeddedEventLoop
        loop.advanceTime(by: .seconds(3))
        fixture.channel.pipeline.fireChannelReadComplete()
        #expect(fixture.link.lastReceived == loop.now)
    }

    @Test func `an empty message is a violation, and so is an empty piece of one`() throws {
        let fixture = try Fixture()
        try fixture.receive(.binary)
        #expect(try fixture.sent()?.opcode == .connectionClose)
        #expect(fixture.delegate.messages.isEmpty)
        let pieces = try Fixture()
        try pieces.channel.writeInbound(WebSocketFrame(fin: false, opcode: .binary, data: ByteBuffer(string: "x")))
        try pieces.channel.writeInbound(WebSocketFrame(fin: false, opcode: .continuation, data: ByteBuffer()))
        #expect(try pieces.sent()?.opcode == .connectionClose)
    }

    @Test func `the number of messages that nobody takes is limited`() throws {
        let fixture = try Fixture()
        fixture.link.delegate = nil
        for _ in 0...SignalLinkLimits.maximumWaitingMessages { try fixture.receive(.binary, ByteBuffer(string: "2")) }
        #expect(try fixture.sent()?.opcode == .connectionClose)
    }
}

/// What a peer may send before it has proved the secret.
@Suite struct WebSocketStrangerLimitTests {
    private let channel = EmbeddedChannel()
    private let link: WebSocketLink
    private let limit = WebSocketStrangerLimit()
    private let delegate = RecordingLinkDelegate()

    init() throws {
        self.link = WebSocketLink(side: .server, eventLoop: self.channel.eventLoop)
        try self.channel.pipeline.syncOperations.addHandlers([
            self.limit, ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: 256 << 10)), self.link,
        ])
        try self.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        self.link.bind(self.limit)
        self.link.delegate = self.delegate
    }

    /// A masked binary frame.
    private func frame(_ length: Int) -> ByteBuffer {
        var bytes = ByteBuffer(bytes: [0x82])
        if length < 126 {
            bytes.writeInteger(UInt8(0x80 | length))
        } else {
            bytes.writeInteger(UInt8(0x80 | 127))
            bytes.writeInteger(UInt64(length))
        }
        bytes.writeInteger(UInt32(0))
        bytes.writeRepeatingByte(7, count: length)
        return bytes
    }

    @Test func `parts of a large frame are not kept in memory`() throws {
        var large = self.frame(200_000)
        while let part = large.readSlice(length: min(10_000, large.readableBytes)), part.readableBytes > 0 {
            _ = try? self.channel.writeInbound(part)
        }
        #expect(!self.channel.isActive)
        #expect(self.delegate.messages.isEmpty)
    }

    @Test func `whoever has proved the secret may send messages of full size, and as many as there are`() throws {
        try self.channel.writeInbound(self.frame(100))
        self.link.peerProved()
        for _ in 0..<100 { try self.channel.writeInbound(self.frame(100)) }
        try self.channel.writeInbound(self.frame(200_000))
        #expect(self.delegate.messages.count == 102)
        #expect(self.channel.isActive)
    }

    @Test func `all frames count towards the limit, pings as well`() throws {
        for _ in 0..<SignalLinkLimits.maximumStrangerMessages {
            try self.channel.writeInbound(ByteBuffer(bytes: [0x89, 0x80, 0, 0, 0, 0]))
        }
        #expect(self.delegate.ends.isEmpty)
        try self.channel.writeInbound(ByteBuffer(bytes: [0x89, 0x80, 0, 0, 0, 0]))
        #expect(self.delegate.ends.count == 1)
    }
}
