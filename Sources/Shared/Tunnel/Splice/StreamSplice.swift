package import NIOCore

/// The last handler of a TCP channel's pipeline: glues the connection to a stream of the tunnel.
///
/// The channel must be connected, live on the stream's event loop and have `allowRemoteHalfClosure` set. The splice
/// does its own reading, whether `autoRead` was on or off. From here on it owns both: when both directions are over, or
/// either breaks, it closes channel and stream. A handler in front that has seen `ChannelEvent.inputClosed` or bytes
/// must fire them on; it will have seen them even without `autoRead`, because NIO reads to the end as soon as a FIN
/// is there.
///
/// ``HalfClose`` says what the end of one side means for the other.
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

    /// Between two looks at what the peer is to acknowledge, for which there is news otherwise.
    private static let stallLooks = TimeAmount.seconds(1)

    private let stream: any SpliceableStream
    private let watch: ConnectionWatch?
    private let makeSocket: (any Channel) -> any SplicedSocket
    private var context: ChannelHandlerContext?
    /// Set with the handler's place in a pipeline, like `socket`.
    private var eventLoop: (any EventLoop)?
    private var socket: (any SplicedSocket)?
    private var closed: ((Summary) -> Void)?
    /// What has passed so far, and how it ended once it has.
    package private(set) var summary = Summary()

    private var ends = HalfClose()
    private var gate = ReadGate.open
    /// Received bytes whose credit waits until the channel takes more.
    private var owedCredit = 0
    /// The next look at what the peer is to acknowledge.
    private var stallTimer: Scheduled<Void>?
    /// What the TCP side is to get before it is reset.
    private var delivery: DeliveryWait?

    /// - Parameters:
    ///   - watch: what notices that the other end of the connection has vanished.
    ///   - closed: called once, when channel and stream are both over.
    package convenience init(
        stream: TunnelStream, watch: ConnectionWatch, closed: ((Summary) -> Void)? = nil
    ) {
        self.init(splicing: stream, watch: watch, socket: { ConnectionSocket($0) }, closed: closed)
    }

    /// For tests, which have streams and sockets of their own.
    package init(
        splicing stream: any SpliceableStream, watch: ConnectionWatch?,
        socket: @escaping (any Channel) -> any SplicedSocket, closed: ((Summary) -> Void)?
    ) {
        self.stream = stream
        self.watch = watch
        self.makeSocket = socket
        self.closed = closed
    }

    // MARK: Ends

    private func receive(_ event: HalfClose.Event) {
        for action in self.ends.receive(event) { self.perform(action) }
        guard self.ends.isOver, let closed = self.closed else { return }
        self.stallTimer?.cancel()
        self.stallTimer = nil
        self.delivery = nil
        self.closed = nil
        self.summary.wasReset = self.ends.wasReset
        closed(self.summary)
    }

    private func perform(_ action: HalfClose.Action) {
        guard let eventLoop = self.eventLoop else { return }
        switch action {
        case .finishStream: self.stream.finish()
        case .resetStream: self.stream.reset(.connectionReset)
        case .resetStreamAfterDelivery:
            self.stream.resetAfterDelivery(.connectionReset)
            self.watchStream(StallWatch(at: eventLoop.now), on: eventLoop)
        case .stopStream: self.stream.stopSending(.connectionReset)
        case .writeEnd:
            let written = eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenSuccess { self.receive(.endWritten) }
            self.context?.writeAndFlush(self.wrapOutboundOut(ByteBuffer()), promise: written)
        case .endInOrder: self.socket?.setResetsOnClose(false)
        case .closeOutput: self.context?.close(mode: .output, promise: nil)
        case .close: self.context?.close(promise: nil)
        case .resetWhenDelivered:
            self.socket?.setResetsOnClose(true)
            guard !self.ends.isConnectionOver, let socket = self.socket else { return }
            self.delivery = DeliveryWait(of: socket, on: eventLoop) { [weak self] in
                guard let self, !self.ends.isConnectionOver else { return }
                self.context?.close(promise: nil)
            }
        }
    }

    /// A peer that takes nothing does not hold the stream for ever.
    private func watchStream(_ stall: StallWatch, on eventLoop: any EventLoop) {
        guard !self.ends.isStreamOver, self.stream.undeliveredBytes > 0 else { return }
        var stall = stall
        guard !stall.isStalled(left: self.stream.undeliveredBytes, at: eventLoop.now) else {
            return self.stream.reset(.connectionReset)
        }
        self.stallTimer = eventLoop.assumeIsolated().scheduleTask(in: Self.stallLooks) { [weak self] in
            self?.watchStream(stall, on: eventLoop)
        }
    }

    /// This machine's address of the connection, while it lives.
    package var localAddress: SocketAddress? { self.context?.channel.localAddress }
    package var acknowledgements: TCPAcknowledgements? { self.socket?.acknowledgements }

    /// The other end of the connection has vanished, or can reach us no more. Not called from inside a call to the splice.
    package func connectionLost() {
        if !self.ends.isConnectionOver, self.context != nil { self.receive(.connectionBroke) }
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

extension StreamSplice: WatchedConnection {}

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
        guard context.channel.isActive else { return self.channelInactive(context: context) }
        if self.ends.takesInput, self.gate.wants(takesMore: self.stream.isWritable) { context.read() }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        if !self.ends.isConnectionOver { self.receive(.connectionBroke) }
        self.watch?.remove(self)
        self.context = nil
    }

    /// Somebody wants the channel to read: NIO, with `autoRead`.
    package func read(context: ChannelHandlerContext) {
        if self.ends.takesInput, self.gate.isAsked(takesMore: self.stream.isWritable) { context.read() }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard self.ends.takesInput else { return }
        let bytes = self.unwrapInboundIn(data)
        self.summary.bytesSent += UInt64(bytes.readableBytes)
        self.stream.write(bytes)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        if self.ends.takesInput, self.gate.readComplete(takesMore: self.stream.isWritable) { context.read() }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.returnCredit(context)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { self.receive(.inputEnded) }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.receive(.connectionBroke)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.watch?.remove(self)
        self.receive(.connectionOver)
    }
}

// MARK: - The tunnel's side

extension StreamSplice: StreamConsumer {
    package func streamReceived(_ bytes: ByteBuffer) {
        guard let context = self.context, self.ends.takesOutput else {
            return self.stream.consume(bytes.readableBytes)
        }
        self.summary.bytesReceived += UInt64(bytes.readableBytes)
        self.owedCredit += bytes.readableBytes
        context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
        // The write may have closed the channel; credit for a dead connection is harmless.
        self.returnCredit(context)
    }

    package func streamBecameWritable() {
        guard self.gate != .open, self.ends.takesInput, let context = self.context else { return }
        if self.gate.wants(takesMore: self.stream.isWritable) { context.read() }
    }

    package func streamFinished() { self.receive(.streamFinished) }
    package func streamReset() { self.receive(.streamReset) }
    package func streamStopped() { self.receive(.streamStopped) }
    package func streamClosed() { self.receive(.streamClosed) }
}
