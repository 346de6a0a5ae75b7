package import NIOCore

/// The last handler of a TCP channel's pipeline: glues the connection to a stream of the tunnel.
///
/// The channel must be connected, live on the stream's event loop and have `allowRemoteHalfClosure` set. The splice
/// does its own reading, whether `autoRead` was on or off. From here on it owns both: when both directions are over, or
/// either breaks, it closes channel and stream. A handler in front that has seen `ChannelEvent.inputClosed` or bytes
/// must fire them on; it will have seen them even without `autoRead`, because NIO reads to the end as soon as a FIN
/// is there.
///
/// What one side did reaches the other as it was done: data, then the end, then the reset.
///
/// | seen | done |
/// |---|---|
/// | FIN from the TCP side | FIN on the stream |
/// | FIN on the stream | FIN to the TCP side, behind everything received |
/// | RST of the TCP side, or no sign of life | RESET_STREAM when the peer has everything read before, unless FIN was sent; STOP_SENDING at once |
/// | RESET_STREAM, or the tunnel lost | RST (SO_LINGER 0) when the TCP side's kernel has everything received |
/// | STOP_SENDING | no more reading; RST behind the end of the other direction |
///
/// Waiting for delivery ends with the first 30 s in which nothing is delivered.
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

    /// The direction from the TCP side to the stream.
    private enum Upload {
        case open
        /// FIN has come, and the stream is finished.
        case ended
        /// The TCP side broke; the stream is reset behind what was read before.
        case broken
        /// Nobody takes what is read: the peer has stopped us, or the stream is over.
        case refused
    }

    /// The direction from the stream to the TCP side.
    private enum Download {
        case open
        /// FIN has come, and waits behind what was written.
        case ending
        /// FIN has been handed to the kernel.
        case ended
        /// The stream broke; RST waits until the TCP side has what was written.
        case breaking
        /// The TCP side takes nothing any more.
        case over
    }

    /// Between two looks at what is to be delivered: at first, and at most.
    private static let deliveryLooks = (first: TimeAmount.milliseconds(1), last: TimeAmount.milliseconds(250))
    /// The same of what the peer is to acknowledge, for which there is news otherwise.
    private static let stallLooks = TimeAmount.seconds(1)

    private let stream: any SpliceableStream
    private let watch: ConnectionWatch?
    private let makeSocket: (any Channel) -> any SplicedSocket
    private var context: ChannelHandlerContext?
    /// Set with the handler's place in a pipeline, like `socket`.
    private var eventLoop: (any EventLoop)?
    private var socket: (any SplicedSocket)?
    private var closed: ((Summary) -> Void)?
    private var summary = Summary()

    private var upload = Upload.open
    private var download = Download.open
    private var channelIsOver = false
    private var streamIsOver = false
    /// The TCP side's FIN has come, also when nobody took what was before it.
    private var inputIsClosed = false

    /// A wish to read that waits until the stream takes more.
    private var isReadWithheld = false
    /// NIO asks for more after each read, besides the times when it has a reason of its own.
    private var expectsToBeAsked = false
    /// Received bytes whose credit waits until the channel takes more.
    private var owedCredit = 0
    /// The next look at what is to be delivered.
    private var deliveryTimer: Scheduled<Void>?

    /// - Parameters:
    ///   - watch: what notices that the other end of the connection has vanished.
    ///   - closed: called once, when channel and stream are both over.
    package convenience init(
        stream: TunnelStream, watch: ConnectionWatch, closed: ((Summary) -> Void)? = nil
    ) {
        self.init(splicing: stream, watch: watch, socket: { ConnectionSocket($0) }, closed: closed)
    }

    init(
        splicing stream: any SpliceableStream, watch: ConnectionWatch?,
        socket: @escaping (any Channel) -> any SplicedSocket, closed: ((Summary) -> Void)?
    ) {
        self.stream = stream
        self.watch = watch
        self.makeSocket = socket
        self.closed = closed
    }

    // MARK: The TCP side ends

    /// FIN has come from the TCP side.
    private func inputEnded() {
        guard case .open = self.upload else { return }
        self.upload = .ended
        self.stream.finish()
        if case .ended = self.download { self.context?.close(promise: nil) }
    }

    /// The TCP side is broken. The peer hears of it behind everything that was read, and sends no more.
    private func inputBroke() {
        self.summary.wasReset = true
        if case .open = self.upload {
            self.upload = .broken
            self.stream.resetAfterDelivery(.connectionReset)
            if let eventLoop = self.eventLoop { self.watchStream(StallWatch(at: eventLoop.now), on: eventLoop) }
        }
        // What came before a FIN was sent in good order, and arrives, whatever happened to the answer.
        if case .over = self.download { return }
        self.download = .over
        self.stream.stopSending(.connectionReset)
    }

    /// A peer that takes nothing does not hold the stream for ever.
    private func watchStream(_ stall: StallWatch, on eventLoop: any EventLoop) {
        guard !self.streamIsOver, self.stream.undeliveredBytes > 0 else { return }
        var stall = stall
        guard !stall.isStalled(left: self.stream.undeliveredBytes, at: eventLoop.now) else {
            return self.stream.reset(.connectionReset)
        }
        self.deliveryTimer = eventLoop.assumeIsolated().scheduleTask(in: Self.stallLooks) { [weak self] in
            self?.watchStream(stall, on: eventLoop)
        }
    }

    /// This machine's address of the connection, while it lives.
    var localAddress: SocketAddress? { self.context?.channel.localAddress }
    var acknowledgements: TCPAcknowledgements? { self.socket?.acknowledgements }

    /// The other end of the connection has vanished, or can reach us no more. Not called from inside a call to the splice.
    func connectionLost() {
        guard !self.channelIsOver, let context = self.context else { return }
        self.inputBroke()
        context.close(promise: nil)
    }

    // MARK: The stream ends

    /// FIN has been written, behind everything received.
    private func outputFlushed() {
        guard let context = self.context, !self.channelIsOver, case .ending = self.download else { return }
        self.download = .ended
        self.socket?.setResetsOnClose(false)
        switch self.upload {
        case .open: context.close(mode: .output, promise: nil)
        case .refused:
            // With the other direction closed, NIO would close the whole, and nobody would see the reset.
            if !self.inputIsClosed { context.close(mode: .output, promise: nil) }
            self.breakOff()
        case .ended, .broken: context.close(promise: nil)
        }
    }

    /// The peer has broken off: RST to the TCP side, which must not take what it got for the whole, but get all of it.
    private func breakOff() {
        self.summary.wasReset = true
        guard !self.channelIsOver, let context = self.context else { return }
        switch self.download {
        case .open, .ended: break
        case .ending, .breaking, .over: return
        }
        self.download = .breaking
        self.socket?.setResetsOnClose(true)
        self.deliver(StallWatch(at: context.eventLoop.now), nextLook: Self.deliveryLooks.first)
    }

    /// Closes once the other end's kernel has everything, or takes nothing.
    private func deliver(_ stall: StallWatch, nextLook: TimeAmount) {
        guard !self.channelIsOver, let context = self.context else { return }
        var stall = stall
        let left = self.socket?.undeliveredBytes ?? 0
        guard left > 0, !stall.isStalled(left: left, at: context.eventLoop.now) else {
            return context.close(promise: nil)
        }
        self.deliveryTimer = context.eventLoop.assumeIsolated().scheduleTask(in: nextLook) { [weak self] in
            self?.deliver(stall, nextLook: min(nextLook * 2, Self.deliveryLooks.last))
        }
    }

    // MARK: Both

    private func tellIfOver() {
        guard self.channelIsOver, self.streamIsOver, let closed = self.closed else { return }
        self.deliveryTimer?.cancel()
        self.deliveryTimer = nil
        self.closed = nil
        closed(self.summary)
    }

    private func read(_ context: ChannelHandlerContext) {
        guard case .open = self.upload else { return }
        self.isReadWithheld = !self.stream.isWritable
        if !self.isReadWithheld { context.read() }
    }

    private func returnCredit(_ context: ChannelHandlerContext) {
        guard context.channel.isWritable, self.owedCredit > 0 else { return }
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
        self.eventLoop = context.eventLoop
        let socket = self.makeSocket(context.channel)
        self.socket = socket
        // Also when this process ends in the middle: the other end must not take a part for the whole.
        socket.setResetsOnClose(true)
        socket.enableKeepalive()
        // NIO reads what is left before it closes the channel for a write that failed, but only then.
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        if context.channel.isActive { self.watch?.add(self) }
        self.stream.attach(self)
        if context.channel.isActive {
            self.read(context)
        } else {
            self.channelInactive(context: context)
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        if !self.channelIsOver {
            self.inputBroke()
            context.close(promise: nil)
        }
        self.watch?.remove(self)
        self.context = nil
    }

    /// Somebody wants the channel to read: NIO, with `autoRead`.
    ///
    /// It does so after each read, which `channelReadComplete` has decided on already, and before it closes the channel for
    /// a write that failed: what the other end sent before it broke off is read in that case only, and nothing may hold it
    /// back.
    package func read(context: ChannelHandlerContext) {
        guard case .open = self.upload else { return }
        if self.isReadWithheld, !self.expectsToBeAsked {
            context.read()
        } else {
            self.read(context)
        }
        self.expectsToBeAsked = false
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .open = self.upload else { return }
        let bytes = self.unwrapInboundIn(data)
        self.summary.bytesSent += UInt64(bytes.readableBytes)
        self.stream.write(bytes)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        self.read(context)
        self.expectsToBeAsked = self.isReadWithheld
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.returnCredit(context)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        self.inputIsClosed = true
        self.inputEnded()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.inputBroke()
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        guard !self.channelIsOver else { return }
        self.channelIsOver = true
        self.watch?.remove(self)
        switch self.download {
        case .open, .ending: self.inputBroke()
        // After our FIN, the FIN of the other side closes the channel without an event of its own.
        case .ended: self.inputEnded()
        case .breaking, .over: break
        }
        self.tellIfOver()
    }
}

// MARK: - The tunnel's side

extension StreamSplice: StreamConsumer {
    func streamReceived(_ bytes: ByteBuffer) {
        guard let context = self.context, !self.channelIsOver, case .open = self.download else {
            return self.stream.consume(bytes.readableBytes)
        }
        self.summary.bytesReceived += UInt64(bytes.readableBytes)
        self.owedCredit += bytes.readableBytes
        context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
        // The write may have closed the channel; credit for a dead connection is harmless.
        self.returnCredit(context)
    }

    func streamFinished() {
        guard let context = self.context, !self.channelIsOver, case .open = self.download else { return }
        self.download = .ending
        // A marker behind all that was written: closing now would drop what waits, if the TCP side has sent its FIN
        // already (NIO makes a full close of it).
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenSuccess { self.outputFlushed() }
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer()), promise: flushed)
    }

    func streamReset() {
        if self.refuseUpload() { self.stream.reset(.connectionReset) }
        self.breakOff()
    }

    func streamStopped() {
        self.refuseUpload()
        // Before the end of the other direction is here, there is more to be delivered.
        if case .ended = self.download { self.breakOff() }
    }

    func streamBecameWritable() {
        if self.isReadWithheld, let context = self.context { self.read(context) }
    }

    func streamClosed() {
        self.streamIsOver = true
        let isUnfinished = self.refuseUpload()
        switch self.download {
        case .open: self.breakOff()
        case .ended where isUnfinished: self.breakOff()
        case .ending, .ended, .breaking, .over: break
        }
        self.tellIfOver()
    }

    /// Nothing that is read from the TCP side has a place to go any more; false when it had none before.
    @discardableResult
    private func refuseUpload() -> Bool {
        guard case .open = self.upload else { return false }
        self.upload = .refused
        return true
    }
}
