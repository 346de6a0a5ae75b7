import NIOCore
import NIOEmbedded
import Testing

@testable import Tunnel

struct StreamSpliceTests {
    /// A stream that records what it is told.
    private final class RecordingStream: SpliceableStream {
        enum Call: Equatable {
            case write(String)
            case finish
            case reset(TunnelErrorCode)
            case resetAfterDelivery(TunnelErrorCode)
            case stopSending(TunnelErrorCode)
            case consume(Int)
        }

        var calls: [Call] = []
        var isWritable = true
        var undeliveredBytes = 0
        var consumer: (any StreamConsumer)?
        /// Delivered by `attach`.
        var early = ""

        func write(_ bytes: ByteBuffer) { self.calls.append(.write(String(buffer: bytes))) }
        func finish() { self.calls.append(.finish) }
        func reset(_ code: TunnelErrorCode) { self.calls.append(.reset(code)) }
        func resetAfterDelivery(_ code: TunnelErrorCode) { self.calls.append(.resetAfterDelivery(code)) }
        func stopSending(_ code: TunnelErrorCode) { self.calls.append(.stopSending(code)) }
        func consume(_ bytes: Int) { self.calls.append(.consume(bytes)) }
        func attach(_ consumer: any StreamConsumer) {
            self.consumer = consumer
            if !self.early.isEmpty { consumer.streamReceived(ByteBuffer(string: self.early)) }
        }
    }

    /// Stands where the socket is: counts reads, keeps half-closes from the embedded channel, which knows none.
    private final class Wire: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var reads = 0
        var outputClosed = false
        var isFullyClosed = false
        /// Keeps writes unfinished, as a full socket buffer does.
        var holdsWrites = false
        var held: [(NIOAny, EventLoopPromise<Void>?)] = []

        func read(context: ChannelHandlerContext) { self.reads += 1 }
        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            if self.holdsWrites {
                self.held.append((data, promise))
            } else {
                context.write(data, promise: promise)
            }
        }
        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            if mode == .output {
                self.outputClosed = true
                promise?.succeed()
            } else {
                self.isFullyClosed = true
                context.close(mode: mode, promise: promise)
            }
        }
        func releaseWrites(_ context: ChannelHandlerContext) {
            self.holdsWrites = false
            for (data, promise) in self.held { context.write(data, promise: promise) }
            self.held = []
            context.flush()
        }
    }

    /// What the kernel would say.
    private final class Socket: SplicedSocket {
        var resetsOnClose = false
        var hasKeepalive = false
        var undeliveredBytes = 0
        var acknowledgements: TCPAcknowledgements?

        func setResetsOnClose(_ resets: Bool) { self.resetsOnClose = resets }
        func enableKeepalive() { self.hasKeepalive = true }
    }

    private let stream = RecordingStream()
    private let socket = Socket()
    private let wire = Wire()
    private let channel = EmbeddedChannel()
    private let ends = Ends()

    private final class Ends {
        var summaries: [StreamSplice.Summary] = []
    }

    private func start(early: String = "") throws {
        try self.channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 80)).wait()
        self.stream.early = early
        let ends = self.ends
        try self.channel.pipeline.syncOperations.addHandler(self.wire)
        let socket = self.socket
        try self.channel.pipeline.syncOperations.addHandler(
            StreamSplice(splicing: self.stream, watch: nil, socket: { _ in socket }) { ends.summaries.append($0) })
    }

    private func deliver(_ text: String) throws {
        self.channel.pipeline.fireChannelRead(ByteBuffer(string: text))
        self.channel.pipeline.fireChannelReadComplete()
        self.channel.embeddedEventLoop.run()
    }

    private func endInput() {
        self.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        self.channel.embeddedEventLoop.run()
    }

    private func consumer() throws -> any StreamConsumer { try #require(self.stream.consumer) }

    private func written() throws -> String? {
        var text: String?
        while let bytes = try self.channel.readOutbound(as: ByteBuffer.self) {
            text = (text ?? "") + String(buffer: bytes)
        }
        return text
    }

    @Test func `bytes go through in both directions, and both ends close it`() throws {
        try self.start()
        #expect(self.wire.reads == 1)
        try self.deliver("hello")
        #expect(self.stream.calls == [.write("hello")])
        #expect(self.wire.reads == 2)
        try self.consumer().streamReceived(ByteBuffer(string: "world"))
        #expect(try self.written() == "world")
        #expect(self.stream.calls.last == .consume(5))

        self.endInput()
        #expect(self.stream.calls.last == .finish)
        #expect(!self.wire.outputClosed && !self.wire.isFullyClosed)
        try self.consumer().streamFinished()
        self.channel.embeddedEventLoop.run()
        #expect(self.wire.isFullyClosed)
        #expect(self.ends.summaries.isEmpty)
        try self.consumer().streamClosed()
        #expect(self.ends.summaries == [.init(bytesSent: 5, bytesReceived: 5, wasReset: false)])
        #expect(!self.stream.calls.contains(.reset(.connectionReset)))
    }

    @Test func `early bytes are delivered when the splice is made`() throws {
        try self.start(early: "banner")
        #expect(try self.written() == "banner")
        #expect(self.stream.calls == [.consume(6)])
    }

    @Test func `FIN from the tunnel closes the output only, and sending goes on`() throws {
        try self.start()
        try self.consumer().streamReceived(ByteBuffer(string: "all"))
        try self.consumer().streamFinished()
        #expect(try self.written() == "all")
        #expect(self.wire.outputClosed && !self.wire.isFullyClosed)
        try self.deliver("still here")
        #expect(self.stream.calls.last == .write("still here"))
        // The other side's FIN then ends the channel without an event of its own.
        self.channel.close(promise: nil)
        self.channel.embeddedEventLoop.run()
        #expect(self.stream.calls.last == .finish)
        try self.consumer().streamClosed()
        #expect(self.ends.summaries.map(\.wasReset) == [false])
    }

    @Test func `waiting data is not lost when both directions end`() throws {
        try self.start()
        self.wire.holdsWrites = true
        try self.consumer().streamReceived(ByteBuffer(string: "tail"))
        try self.consumer().streamFinished()
        self.endInput()
        self.channel.embeddedEventLoop.run()
        #expect(!self.wire.isFullyClosed)
        self.wire.releaseWrites(try self.channel.pipeline.syncOperations.context(handler: self.wire))
        #expect(try self.written() == "tail")
        #expect(self.wire.isFullyClosed)
        try self.consumer().streamClosed()
        #expect(self.ends.summaries.map(\.wasReset) == [false])
    }

    @Test func `nothing is read while the stream accepts no more`() throws {
        try self.start()
        #expect(self.wire.reads == 1)
        self.stream.isWritable = false
        try self.deliver("full")
        #expect(self.wire.reads == 1)
        self.channel.read()
        #expect(self.wire.reads == 1)
        self.stream.isWritable = true
        try self.consumer().streamBecameWritable()
        #expect(self.wire.reads == 2)
        try self.consumer().streamBecameWritable()
        #expect(self.wire.reads == 2)
    }

    @Test func `no credit is given while the channel accepts no more`() throws {
        try self.start()
        self.channel.isWritable = false
        try self.consumer().streamReceived(ByteBuffer(string: "one"))
        try self.consumer().streamReceived(ByteBuffer(string: "three"))
        #expect(self.stream.calls.isEmpty)
        self.channel.isWritable = true
        self.channel.pipeline.fireChannelWritabilityChanged()
        #expect(self.stream.calls == [.consume(8)])
    }

    @Test func `a reset of the stream breaks the connection off`() throws {
        try self.start()
        try self.consumer().streamReset()
        #expect(self.wire.isFullyClosed)
        try self.consumer().streamClosed()
        #expect(self.ends.summaries.map(\.wasReset) == [true])
    }

    @Test func `a reset of the connection abandons the stream after what was read`() throws {
        try self.start()
        self.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
        self.channel.embeddedEventLoop.run()
        #expect(self.stream.calls == [.resetAfterDelivery(.connectionReset), .stopSending(.connectionReset)])
        try self.consumer().streamClosed()
        #expect(self.ends.summaries.map(\.wasReset) == [true])
    }

    @Test func `a reset after FIN does not take back what was sent`() throws {
        try self.start()
        try self.deliver("request")
        self.endInput()
        self.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "write"))
        self.channel.embeddedEventLoop.run()
        #expect(self.stream.calls == [.write("request"), .finish, .stopSending(.connectionReset)])
    }

    @Test func `a connection that ends without FIN abandons the stream`() throws {
        try self.start()
        self.channel.close(promise: nil)
        #expect(self.stream.calls == [.resetAfterDelivery(.connectionReset), .stopSending(.connectionReset)])
    }

    @Test func `a peer that stops reading still has its own bytes delivered`() throws {
        try self.start()
        try self.consumer().streamStopped()
        #expect(!self.wire.isFullyClosed)
        try self.deliver("into the void")
        #expect(self.stream.calls.isEmpty)
        try self.consumer().streamReceived(ByteBuffer(string: "answer"))
        try self.consumer().streamFinished()
        #expect(try self.written() == "answer")
        #expect(self.wire.isFullyClosed)
    }

    @Test func `a lost tunnel breaks off what has not ended`() throws {
        try self.start()
        try self.consumer().streamReceived(ByteBuffer(string: "half"))
        try self.consumer().streamClosed()
        #expect(self.wire.isFullyClosed)
        #expect(self.ends.summaries.map(\.wasReset) == [true])
        #expect(!self.stream.calls.contains(.reset(.connectionReset)))
    }

    @Test func `a connection that is already gone abandons the stream at once`() throws {
        try self.channel.close().wait()
        let ends = self.ends
        _ = try? self.channel.pipeline.syncOperations.addHandler(
            StreamSplice(splicing: self.stream, watch: nil, socket: { _ in Socket() }) { ends.summaries.append($0) })
        #expect(self.stream.calls == [.resetAfterDelivery(.connectionReset), .stopSending(.connectionReset)])
    }

    // MARK: Reset behind data

    /// Lets time pass, in steps in which timers fire.
    private func pass(_ time: TimeAmount) { self.channel.embeddedEventLoop.advanceTime(by: time) }

    @Test func `a reset of the stream waits until the other end has what was written`() throws {
        try self.start()
        self.socket.undeliveredBytes = 4
        try self.consumer().streamReceived(ByteBuffer(string: "tail"))
        try self.consumer().streamReset()
        #expect(self.socket.resetsOnClose)
        for _ in 0..<20 {
            self.pass(.seconds(1))
            #expect(!self.wire.isFullyClosed)
        }
        self.socket.undeliveredBytes = 0
        self.pass(.milliseconds(250))
        #expect(self.wire.isFullyClosed && self.socket.resetsOnClose && !self.wire.outputClosed)
        try self.consumer().streamClosed()
        #expect(self.ends.summaries.map(\.wasReset) == [true])
    }

    @Test func `a reader that stalls puts the reset off for 30 s, one that is slow for as long as it reads`() throws {
        try self.start()
        self.socket.undeliveredBytes = 100
        try self.consumer().streamReset()
        for _ in 0..<10 {
            self.pass(.seconds(25))
            self.socket.undeliveredBytes -= 1
            #expect(!self.wire.isFullyClosed)
        }
        self.pass(.seconds(31))
        #expect(self.wire.isFullyClosed)
    }

    @Test func `a peer that takes nothing is reset at once after 30 s`() throws {
        try self.start()
        try self.deliver("request")
        self.stream.undeliveredBytes = 7
        self.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
        self.pass(.seconds(29))
        self.stream.undeliveredBytes = 6
        self.pass(.seconds(29))
        #expect(self.stream.calls.last == .stopSending(.connectionReset))
        self.pass(.seconds(3))
        #expect(self.stream.calls.last == .reset(.connectionReset))
    }

    @Test func `what is read with the error goes before the reset`() throws {
        try self.start()
        self.channel.pipeline.fireChannelRead(ByteBuffer(string: "last words"))
        self.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
        #expect(
            self.stream.calls == [
                .write("last words"), .resetAfterDelivery(.connectionReset), .stopSending(.connectionReset),
            ])
    }

    @Test func `data, the end and then the reset reach the TCP side in that order`() throws {
        try self.start()
        try self.consumer().streamReceived(ByteBuffer(string: "answer"))
        try self.consumer().streamFinished()
        #expect(self.wire.outputClosed && !self.wire.isFullyClosed && !self.socket.resetsOnClose)
        self.socket.undeliveredBytes = 7
        try self.consumer().streamStopped()
        self.pass(.seconds(1))
        #expect(!self.wire.isFullyClosed && self.socket.resetsOnClose)
        self.socket.undeliveredBytes = 0
        self.pass(.milliseconds(250))
        #expect(self.wire.isFullyClosed && self.socket.resetsOnClose)
    }

    @Test func `a process that ends in the middle sends no FIN`() throws {
        try self.start()
        #expect(self.socket.resetsOnClose && self.socket.hasKeepalive)
        try self.consumer().streamFinished()
        #expect(!self.socket.resetsOnClose)
    }

    @Test func `a tunnel lost after FIN resets a connection that still sends`() throws {
        try self.start()
        try self.consumer().streamFinished()
        try self.consumer().streamClosed()
        #expect(self.wire.isFullyClosed && self.socket.resetsOnClose)
        #expect(self.ends.summaries.map(\.wasReset) == [true])
    }

    @Test func `what is left can be read after a failed write, even while reading is paused`() throws {
        try self.start()
        self.stream.isWritable = false
        try self.deliver("full")
        // The question after each read is no reason to read.
        self.channel.read()
        #expect(self.wire.reads == 1)
        // One out of turn is.
        self.channel.read()
        #expect(self.wire.reads == 2)
    }

    @Test func `a reset after the end reaches a connection that has ended its own direction, too`() throws {
        try self.start()
        try self.consumer().streamStopped()
        self.endInput()
        try self.consumer().streamReceived(ByteBuffer(string: "answer"))
        try self.consumer().streamFinished()
        self.channel.embeddedEventLoop.run()
        #expect(try self.written() == "answer")
        #expect(self.wire.isFullyClosed && self.socket.resetsOnClose && !self.wire.outputClosed)
    }
}
