import LibC
package import NIOCore
import NIOHTTP1
package import NIOWebSocket
import TLS

/// A control connection over a WebSocket: one binary message is one signalling message (RFC 6455).
///
/// It is the last handler of a channel whose HTTP handlers have been replaced by NIO's WebSocket frame codec;
/// `WebSocketConnector` and `WebSocketLink.serverUpgrader` set such channels up.
package final class WebSocketLink: ChannelInboundHandler, SignalLink {
    package typealias InboundIn = WebSocketFrame
    package typealias OutboundOut = WebSocketFrame

    /// Which end of the WebSocket this is: only the client's frames are masked (RFC 6455 §5.1).
    package enum Side: Sendable {
        case client, server
    }

    private enum State {
        /// The handler is not in a pipeline yet.
        case new
        case open(ChannelHandlerContext)
        /// Our `Close` frame is out; the channel is closed when the peer's comes, or when the timer fires. `error` is why.
        case closing(
            ChannelHandlerContext, timer: Scheduled<Void>, error: (any Error)?, closed: EventLoopPromise<Void>?)
        case closed
    }

    package let eventLoop: any EventLoop
    package private(set) var localAddress: SocketAddress?
    package private(set) var remoteAddress: SocketAddress?
    package private(set) var channelBinding: [UInt8]?
    package private(set) var lastReceived: NIODeadline
    package var delegate: (any SignalLinkDelegate)? {
        get { self.outlet.delegate }
        set {
            self.outlet.delegate = newValue
            self.outlet.deliverAll(from: self)
            if newValue != nil { self.setReading(true) }
        }
    }

    private let side: Side
    private let outlet = SignalLinkOutlet()
    private var assembler: WebSocketMessageAssembler
    private var state = State.new
    /// Bytes of messages that wait for `flush`.
    private var unflushedBytes = 0
    /// Whether messages that nobody takes have stopped the channel's reading.
    private var isReading = true
    /// Bounds what comes in before the peer has proved the secret; nil when it may send what it likes.
    private var strangerLimit: WebSocketStrangerLimit?

    package init(side: Side, eventLoop: any EventLoop) {
        self.side = side
        self.eventLoop = eventLoop
        self.lastReceived = eventLoop.now
        self.assembler = WebSocketMessageAssembler(expectsMask: side == .server)
    }

    package var pendingBytes: Int {
        guard case .open(let context) = self.state else { return 0 }
        return (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    package func send(_ message: ByteBuffer) {
        guard case .open(let context) = self.state else { return }
        self.write(.binary, message, context)
    }

    package var hasRoom: Bool {
        guard case .open(let context) = self.state else { return false }
        return context.channel.isWritable
    }

    package var preferredUnreliableSize: Int { SignalLinkLimits.roomMarks.high }

    /// TCP loses nothing: what has no room when it comes is dropped.
    package func sendUnreliably(_ message: ByteBuffer) {
        guard case .open(let context) = self.state, context.channel.isWritable else { return }
        context.write(self.wrapOutboundOut(self.frame(.binary, message)), promise: nil)
        self.unflushedBytes += message.readableBytes
        // TLS keeps what is not flushed to itself, so that the channel would not know of it.
        if self.unflushedBytes >= SignalLinkLimits.roomMarks.high { self.flush() }
    }

    package func flush() {
        guard self.unflushedBytes > 0, case .open(let context) = self.state else { return }
        self.unflushedBytes = 0
        context.flush()
    }

    package func peerProved() {
        self.strangerLimit?.lift()
        self.strangerLimit = nil
    }

    /// What the peer may send until `peerProved` is called is bounded by `limit`.
    func bind(_ limit: WebSocketStrangerLimit) { self.strangerLimit = limit }

    /// The peer's address, where the one of the connection is a trusted proxy's.
    package func setForwardedAddress(_ address: SocketAddress) { self.remoteAddress = address }

    private func setReading(_ isReading: Bool) {
        guard isReading != self.isReading, case .open(let context) = self.state else { return }
        self.isReading = isReading
        try? context.channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    package func close(_ closed: EventLoopPromise<Void>?) {
        self.outlet.close()
        self.startClosing(.normalClosure, because: nil, closed)
    }

    // MARK: Sending

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
        let pending = self.pendingBytes + data.readableBytes
        guard pending <= SignalLinkLimits.maximumPendingBytes else {
            // Told later: nobody expects to hear of the end from inside `send`.
            self.eventLoop.assumeIsolated().execute {
                guard case .open = self.state else { return }
                self.fail(SignalLinkError.peerNotReading(pendingBytes: pending), context)
            }
            return
        }
        context.writeAndFlush(self.wrapOutboundOut(self.frame(opcode, data)), promise: nil)
    }

    private func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: opcode, maskKey: self.side == .client ? .random() : nil, data: data)
    }

    // MARK: Ending

    private func startClosing(
        _ code: WebSocketErrorCode, because error: SignalLinkError?, _ closed: EventLoopPromise<Void>? = nil
    ) {
        guard case .open(let context) = self.state else {
            closed?.succeed()
            return
        }
        let timer = self.eventLoop.assumeIsolated().scheduleTask(in: SignalLinkLimits.closeTimeout) {
            context.close(promise: nil)
        }
        self.state = .closing(context, timer: timer, error: error, closed: closed)
        var data = ByteBuffer()
        data.write(webSocketErrorCode: code)
        context.writeAndFlush(self.wrapOutboundOut(self.frame(.connectionClose, data)), promise: nil)
    }

    /// The peer is at fault: says so with `code`, and ends the link.
    private func violation(_ code: WebSocketErrorCode, _ error: SignalLinkError) {
        self.startClosing(code, because: error)
        self.outlet.end(error: error, of: self)
    }

    /// The transport is of no more use.
    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        let state = self.state
        self.state = .closed
        context.close(promise: nil)
        self.outlet.end(error: error, of: self)
        if case .closing(_, let timer, _, let closed) = state {
            timer.cancel()
            closed?.succeed()
        }
    }
}

@available(*, unavailable)
extension WebSocketLink: Sendable {}

// MARK: - Channel events

extension WebSocketLink {
    package func handlerAdded(context: ChannelHandlerContext) {
        self.state = .open(context)
        self.localAddress = context.localAddress
        self.remoteAddress = context.remoteAddress
        self.channelBinding = try? context.pipeline.syncOperations.handler(type: TLSHandler.self).exporterChannelBinding
        self.limitWaiting(in: context.channel)
    }

    /// Sees to it that little waits between `send` and the network, and that the channel tells when it has become less.
    private func limitWaiting(in channel: any Channel) {
        guard let options = channel.syncOptions else { return }
        let marks = SignalLinkLimits.roomMarks
        // Refused by what is no TCP socket, which then keeps its own buffer.
        try? options.setOption(
            .writeBufferWaterMark, value: ChannelOptions.Types.WriteBufferWaterMark(low: marks.low, high: marks.high))
        try? options.setOption(.unsentLowWaterMark, value: SignalLinkLimits.maximumUnsentInKernel)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.channelEnded()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.lastReceived = self.eventLoop.now
        let frame = self.unwrapInboundIn(data)
        switch self.state {
        case .open:
            self.receive(frame, context)
        case .closing:
            // RFC 6455 §5.5.1: both have sent and received a Close frame. All else comes too late.
            if frame.opcode == .connectionClose {
                context.close(promise: nil)
            }
        case .new, .closed:
            break
        }
    }

    private func receive(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        guard self.strangerLimit?.takeFrame() ?? true else {
            return self.violation(.policyViolation, .framing("too many frames before the handshake"))
        }
        switch self.assembler.receive(frame) {
        case .nothing:
            break
        case .message(let message):
            if !self.outlet.deliver(message, from: self) {
                self.violation(.policyViolation, .framing("too many messages before the handshake"))
            }
            if self.outlet.isHolding, self.outlet.delegate == nil { self.setReading(false) }
        case .ping(let data):
            self.write(.pong, data, context)
        case .close(let code):
            self.startClosing(code ?? .normalClosure, because: nil)
            // The echo is on its way; what it waits behind is the only reason to wait.
            if self.bufferIsEmpty(context) {
                context.close(promise: nil)
            }
            self.outlet.end(error: nil, of: self)
        case .violation(.messageTooLarge, _):
            self.violation(.messageTooLarge, .messageTooLarge)
        case .violation(let code, let problem):
            self.violation(code, .framing(problem))
        }
    }

    private func bufferIsEmpty(_ context: ChannelHandlerContext) -> Bool {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) == 0
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        // Comes for a part of a frame as well, which the decoder keeps to itself.
        self.lastReceived = self.eventLoop.now
        context.fireChannelReadComplete()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .open = self.state, context.channel.isWritable {
            self.delegate?.linkBecameWritable(self)
        }
        context.fireChannelWritabilityChanged()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.channelEnded()
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOWebSocketError.invalidFrameLength:
            self.violation(.messageTooLarge, .messageTooLarge)
        case let error as NIOWebSocketError:
            self.violation(.protocolError, .framing("\(error)"))
        default:
            self.fail(error, context)
        }
    }

    private func channelEnded() {
        let state = self.state
        self.state = .closed
        switch state {
        case .open:
            self.outlet.end(error: SignalLinkError.truncated, of: self)
        case .closing(_, let timer, let error, let closed):
            timer.cancel()
            self.outlet.end(error: error, of: self)
            closed?.succeed()
        case .new, .closed:
            break
        }
    }
}

extension ChannelOption where Self == ChannelOptions.Types.SocketOption {
    /// `TCP_NOTSENT_LOWAT`: a socket with as much unsent data takes no more for the moment. Else the send
    /// buffer grows to megabytes, which a slow path takes seconds to carry.
    fileprivate static var unsentLowWaterMark: Self {
        .tcpOption(NIOBSDSocket.Option(rawValue: TCPOption.unsentLowWaterMark))
    }
}
