import NIOCore

/// Moves datagrams between one session and its connected UDP socket, which it closes when the session is over.
final class QUICClientHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let quic: QUICContext
    private let remoteAddress: SocketAddress
    /// Completed once: with the connection, or with why there is none.
    private var connected: EventLoopPromise<NIOLoopBound<QUICClientConnection>>?
    private var session: QUICSession?
    private var isReading = false

    init(
        context: QUICContext, remoteAddress: SocketAddress,
        connected: EventLoopPromise<NIOLoopBound<QUICClientConnection>>
    ) {
        self.quic = context
        self.remoteAddress = remoteAddress
        self.connected = connected
    }

    func channelActive(context: ChannelHandlerContext) {
        do {
            let session = try QUICSession.client(context: self.quic, eventLoop: context.eventLoop) { transmit in
                self.send(transmit, context: context)
            }
            session.handshakeCompleted = { [unowned self, unowned session] in self.succeed(session, context: context) }
            session.closed = { [unowned self] in self.fail($0) }
            session.terminated = { context.close(promise: nil) }
            self.session = session
        } catch {
            self.fail(error)
            context.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.session?.close(code: 0, reason: "the socket is closed")
        self.session = nil
        self.fail(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = self.unwrapInboundIn(data)
        self.isReading = true
        self.session?.receive(envelope.data, segmentSize: envelope.metadata?.segmentSize)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.session?.receiveComplete()
        self.isReading = false
        context.flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.session?.isPathWritable = context.channel.isWritable
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Before the handshake an ICMP error says that nobody is there. Later it may be one router's mood, or forged;
        // QUIC's own timers decide then.
        guard self.connected != nil else { return }
        self.fail(error)
        self.session?.close(code: 0, reason: "")
    }

    private func succeed(_ session: QUICSession, context: ChannelHandlerContext) {
        let connection = QUICClientConnection(
            session: session, localAddress: context.localAddress, remoteAddress: self.remoteAddress)
        self.connected?.succeed(NIOLoopBound(connection, eventLoop: context.eventLoop))
        self.connected = nil
    }

    private func fail(_ error: any Error) {
        self.connected?.fail(error)
        self.connected = nil
    }

    private func send(_ transmit: QUICTransmit, context: ChannelHandlerContext) {
        transmit.forEachEnvelope(to: self.remoteAddress) { context.write(self.wrapOutboundOut($0), promise: nil) }
        if !self.isReading { context.flush() }
    }
}

@available(*, unavailable)
extension QUICClientHandler: Sendable {}
