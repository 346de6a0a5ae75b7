package import NIOCore

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The last handler of a TCP channel's pipeline: glues the connection to a stream of the tunnel.
///
/// The channel must be connected, live on the stream's event loop and have `allowRemoteHalfClosure` set. The splice
/// does its own reading, so `autoRead` may be on or off. From here on it owns both: when both directions are over, or
/// either breaks, it closes channel and stream. A handler in front that has seen `ChannelEvent.inputClosed` or bytes
/// must fire them on; it will have seen them even without `autoRead`, because NIO reads to the end as soon as a FIN
/// is there.
///
/// | seen | done |
/// |---|---|
/// | FIN from the TCP side | FIN on the stream |
/// | FIN on the stream | FIN to the TCP side, behind everything received |
/// | RST or an error of the TCP side | RESET_STREAM, unless it had sent FIN, and STOP_SENDING, with `connectionReset` |
/// | RESET_STREAM, or the tunnel lost | RST (SO_LINGER 0) |
/// | STOP_SENDING | no more reading; the other direction goes on to its own end |
///
/// Bytes are held in two places only: the stream's send buffer, above whose mark we stop reading, and the channel's
/// write buffer, above whose mark we stop giving credit to the stream.
package final class StreamSplice {
    /// How a spliced connection ended.
    package struct Summary: Hashable, Sendable {
        /// Bytes that went from the TCP connection into the tunnel.
        package var bytesSent: UInt64 = 0
        /// Bytes that came from the tunnel and were written to the TCP connection.
        package var bytesReceived: UInt64 = 0
        /// Whether the end was a reset, of either side, and not the end of both directions.
        package var wasReset = false
    }

    private let stream: any SpliceableStream
    private var context: ChannelHandlerContext?
    private var closed: ((Summary) -> Void)?
    private var summary = Summary()

    /// A wish to read that waits until the stream takes more.
    private var isReadWithheld = false
    /// Received bytes whose credit waits until the channel takes more.
    private var owedCredit = 0

    /// The TCP side has sent FIN, and the stream has been finished.
    private var inputEnded = false
    /// The stream has brought FIN.
    private var outputEnded = false
    /// Everything that the stream brought, FIN included, has been handed to the kernel.
    private var outputFlushed = false
    /// Nobody reads what we send: the peer stopped us, or the stream is over.
    private var sendingEnded = false
    private var isAborted = false
    private var sawError = false
    private var channelIsOver = false
    private var streamIsOver = false

    /// `closed` is called once, when channel and stream are both over.
    package convenience init(stream: TunnelStream, closed: ((Summary) -> Void)? = nil) {
        self.init(splicing: stream, closed: closed)
    }

    init(splicing stream: any SpliceableStream, closed: ((Summary) -> Void)?) {
        self.stream = stream
        self.closed = closed
    }

    // MARK: Ends

    /// Breaks both sides off.
    private func abort() {
        self.abortStream()
        guard let context = self.context, !self.channelIsOver else {
            return
        }
        // An RST instead of a FIN: the other end must not take what it got for the whole.
        if let provider = context.channel as? any SocketOptionProvider {
            _ = provider.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }

    private func abortStream() {
        guard !self.isAborted else {
            return
        }
        self.isAborted = true
        self.sendingEnded = true
        self.summary.wasReset = true
        guard !self.streamIsOver else {
            return
        }
        // What came before a FIN was sent in good order, and arrives, whatever happened to the answer.
        if !self.inputEnded {
            self.stream.reset(.connectionReset)
        }
        self.stream.stopSending(.connectionReset)
    }

    /// Everything received has reached the kernel: FIN to the TCP side, or the end of it.
    private func outputWasFlushed() {
        self.outputFlushed = true
        guard let context = self.context, !self.channelIsOver else {
            return
        }
        if self.inputEnded || self.sendingEnded {
            context.close(promise: nil)
        } else {
            context.close(mode: .output, promise: nil)
        }
    }

    /// Nothing more can be sent to the peer. What it has sent still gets delivered, then the connection ends; the
    /// kernel answers what the TCP side sends after that with RST.
    private func endSending() {
        self.sendingEnded = true
        if self.outputFlushed {
            self.context?.close(promise: nil)
        }
    }

    private func tellIfOver() {
        guard self.channelIsOver, self.streamIsOver, let closed = self.closed else {
            return
        }
        self.closed = nil
        closed(self.summary)
    }

    // MARK: Reading

    private func read(_ context: ChannelHandlerContext) {
        guard !self.sendingEnded else {
            return
        }
        self.isReadWithheld = !self.stream.isWritable
        if !self.isReadWithheld {
            context.read()
        }
    }

    // MARK: Credit

    private func returnCredit(_ context: ChannelHandlerContext) {
        guard context.channel.isWritable, self.owedCredit > 0 else {
            return
        }
        let credit = self.owedCredit
        self.owedCredit = 0
        self.stream.consume(credit)
    }
}

@available(*, unavailable)
extension StreamSplice: Sendable {}

// MARK: - The TCP side

extension StreamSplice: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.stream.attach(self)
        if context.channel.isActive {
            self.read(context)
        } else {
            self.channelInactive(context: context)
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        if !self.channelIsOver {
            self.abort()
        }
        self.context = nil
    }

    package func read(context: ChannelHandlerContext) {
        self.read(context)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        guard !self.sendingEnded, !self.inputEnded else {
            return
        }
        self.summary.bytesSent += UInt64(bytes.readableBytes)
        self.stream.write(bytes)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        self.read(context)
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.returnCredit(context)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed, !self.inputEnded else {
            return
        }
        self.inputEnded = true
        if !self.sendingEnded {
            self.stream.finish()
        }
        if self.outputFlushed {
            context.close(promise: nil)
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.sawError = true
        self.abort()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        guard !self.channelIsOver else {
            return
        }
        self.channelIsOver = true
        // After our FIN, the FIN of the other side closes the channel without an event of its own.
        if self.outputFlushed, !self.sawError {
            if !self.inputEnded, !self.sendingEnded {
                self.inputEnded = true
                self.stream.finish()
            }
        } else {
            self.abortStream()
        }
        self.tellIfOver()
    }
}

// MARK: - The tunnel's side

extension StreamSplice: StreamConsumer {
    func streamReceived(_ bytes: ByteBuffer) {
        guard let context = self.context, !self.channelIsOver, !self.isAborted else {
            return self.stream.consume(bytes.readableBytes)
        }
        self.summary.bytesReceived += UInt64(bytes.readableBytes)
        self.owedCredit += bytes.readableBytes
        context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
        // The write may have closed the channel; credit for a dead connection is harmless.
        self.returnCredit(context)
    }

    func streamFinished() {
        guard let context = self.context, !self.channelIsOver, !self.isAborted, !self.outputEnded else {
            return
        }
        self.outputEnded = true
        // A marker behind all that was written: closing now would drop what waits, if the TCP side has sent its FIN
        // already (NIO makes a full close of it).
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenSuccess { self.outputWasFlushed() }
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer()), promise: flushed)
    }

    func streamReset() {
        self.abort()
    }

    func streamStopped() {
        self.endSending()
    }

    func streamBecameWritable() {
        if self.isReadWithheld, let context = self.context {
            self.read(context)
        }
    }

    func streamClosed() {
        self.streamIsOver = true
        if self.outputEnded {
            self.endSending()
        } else {
            self.abort()
        }
        self.tellIfOver()
    }
}
