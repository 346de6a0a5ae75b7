package import Basics
package import NIOCore
import NIOTLS

/// TLS for a stream channel: plaintext towards the rest of the pipeline, records towards the socket.
///
/// * Fires `TLSUserEvent.handshakeCompleted` once the handshake is over. Limiting the time it may take is the caller's.
/// * Fires every ``TLSError`` through `errorCaught` and then closes the channel; an alert for the peer goes out first.
/// * A close_notify of the peer is the end of input: with the channel option `allowRemoteHalfClosure` it is
///   `ChannelEvent.inputClosed`, otherwise the channel closes. Its absence at the end of input is ``TLSError/truncated``.
/// * Closing the channel (or its output) sends what has been written, and close_notify.
/// * Writes are encrypted at the flush, or from 64 KiB on at once, and passed on, so the channel's writability says when
///   to pause. Those made before the end of the handshake wait here, up to 1 MiB; beyond that they fail.
///
/// Confined to the channel's event loop.
package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private enum State {
        case handshaking
        case open
        /// Our last bytes are on their way; the promise is completed when the channel is closed.
        case closing(EventLoopPromise<Void>)
        case closed
    }

    /// Plaintext that is encrypted without waiting for a flush.
    private static let largestUnflushed = 64 << 10
    /// The most that is kept for after the handshake.
    private static let largestBacklog = 1 << 20
    /// How long a close waits for the socket to take what was written.
    private static let closeTimeout = TimeAmount.seconds(5)

    private let connection: TLSConnection
    private var state = State.handshaking
    private var backlog = WriteBacklog()
    private var flushAfterHandshake = false
    /// Promises of `close(mode: .output)` calls that came during the handshake.
    private var outputClosesAfterHandshake: [EventLoopPromise<Void>?] = []
    /// The pipeline has asked for a read, and no plaintext has been fired since.
    private var isReadOutstanding = false

    /// Makes a handler for one channel, in the role of `context`.
    ///
    /// - Parameter serverName: the name a client asks for (SNI); nil takes the one that the context verifies, if any.
    /// - Throws: ``TLSError/operationFailed(_:_:)``, for example for a name with a zero byte.
    package init(context: TLSContext, serverName: String? = nil) throws(TLSError) {
        self.connection = try TLSConnection(context: context, serverName: serverName)
    }

    /// The `tls-exporter` channel binding (RFC 9266), 32 bytes; nil before the end of the handshake, and for TLS 1.2
    /// without the extended master secret. On the event loop only.
    package var exporterChannelBinding: [UInt8]? { self.connection.channelBinding }

    /// The fingerprint of the peer's certificate; nil before the end of the handshake or if there is none. On the event
    /// loop only.
    package var peerFingerprint: CertificateFingerprint? { self.connection.peerFingerprint }

    // MARK: Life of the channel

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.drain(context: context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        self.drain(context: context)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.connection.receiveEnd()
        self.drain(context: context)
        self.finish()
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.finish()
    }

    // MARK: Inbound

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Once closed, nobody waits for bytes any more.
        guard self.isHandshaking || self.isOpen else { return }
        self.connection.receive(self.unwrapInboundIn(data))
        self.drain(context: context)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // What arrived may have been half a record, or a message of the handshake: whoever asked for a read is still
        // waiting for it, and the handshake goes on by itself.
        if self.isReadOutstanding || self.isHandshaking {
            context.read()
        }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        // The end of the bytes. The end of the plaintext is close_notify's to tell; this only shows it missing.
        self.connection.receiveEnd()
        self.drain(context: context)
    }

    /// Acts on all that the received bytes have brought, and sends what that calls for.
    private func drain(context: ChannelHandlerContext) {
        while self.isHandshaking || self.isOpen, let event = self.connection.nextEvent() {
            switch event {
            case .handshakeCompleted(let applicationProtocol):
                self.handshakeCompleted(context: context, applicationProtocol: applicationProtocol)
            case .received(let plaintext):
                self.isReadOutstanding = false
                context.fireChannelRead(self.wrapInboundOut(plaintext))
            case .inputClosed:
                self.inputClosed(context: context)
            case .failed(let error):
                self.fail(error, context: context)
            }
        }
        self.sendOutput(context: context)
    }

    private func handshakeCompleted(context: ChannelHandlerContext, applicationProtocol: String?) {
        self.state = .open
        self.encryptBacklog(context: context)
        guard self.isOpen else { return }
        for promise in self.takeOutputCloses() {
            self.closeOutput(context: context, promise: promise)
        }
        // Our last message of the handshake goes first, with any data; the event can lead to anything.
        self.sendOutput(context: context)
        if self.flushAfterHandshake { context.flush() }
        context.fireUserInboundEventTriggered(
            TLSUserEvent.handshakeCompleted(negotiatedProtocol: applicationProtocol))
    }

    private func inputClosed(context: ChannelHandlerContext) {
        let mayStayHalfOpen = try? context.channel.syncOptions?.getOption(.allowRemoteHalfClosure)
        if mayStayHalfOpen == true {
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        } else {
            self.close(context: context, mode: .all, promise: nil)
            context.fireUserInboundEventTriggered(TLSUserEvent.shutdownCompleted)
        }
    }

    private func fail(_ error: TLSError, context: ChannelHandlerContext) {
        self.state = .closed
        self.sendOutput(context: context)
        self.backlog.fail(error)
        for promise in self.takeOutputCloses() { promise?.fail(error) }
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    // MARK: Outbound

    package func read(context: ChannelHandlerContext) {
        self.isReadOutstanding = true
        context.read()
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let plaintext = self.unwrapOutboundIn(data)
        switch self.state {
        case .handshaking where self.backlog.byteCount + plaintext.readableBytes > Self.largestBacklog:
            promise?.fail(TLSError.backlogFull(limit: Self.largestBacklog))
        case .handshaking:
            self.backlog.append(plaintext, promise)
        case .open:
            self.backlog.append(plaintext, promise)
            if self.backlog.byteCount >= Self.largestUnflushed { self.encryptBacklog(context: context) }
        case .closing, .closed:
            promise?.fail(TLSError.closed)
        }
    }

    package func flush(context: ChannelHandlerContext) {
        switch self.state {
        case .handshaking:
            self.flushAfterHandshake = true
        case .open:
            self.encryptBacklog(context: context)
        case .closing, .closed:
            break
        }
        context.flush()
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch (mode, self.state) {
        case (.output, .handshaking):
            self.outputClosesAfterHandshake.append(promise)
        case (.output, .open) where !self.connection.isInputClosed:
            self.encryptBacklog(context: context)
            self.closeOutput(context: context, promise: promise)
        case (.all, .open), (.output, .open):
            self.closeAll(context: context, promise: promise)
        case (.all, .closing(let first)), (.output, .closing(let first)):
            if let promise { first.futureResult.cascade(to: promise) }
        case (.all, .handshaking):
            self.finish()
            context.close(promise: promise)
        case (.input, _), (.all, .closed), (.output, .closed):
            context.close(mode: mode, promise: promise)
        }
    }

    private func closeOutput(context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        self.connection.closeOutput()
        self.sendOutput(context: context)
        context.close(mode: .output, promise: promise)
    }

    /// Sends what was written and close_notify, and closes once the socket has taken them, or after a while.
    private func closeAll(context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        self.encryptBacklog(context: context)
        // The encryption can fail, which closes too.
        guard self.isOpen else {
            context.close(promise: promise)
            return
        }
        self.connection.closeOutput()
        let closed = promise ?? context.eventLoop.makePromise()
        self.state = .closing(closed)

        let sent = context.eventLoop.makePromise(of: Void.self)
        let eventLoop = context.eventLoop.assumeIsolated()
        let timeout = eventLoop.scheduleTask(in: Self.closeTimeout) {
            self.closeNow(context: context)
        }
        sent.futureResult.assumeIsolated().whenComplete { _ in
            timeout.cancel()
            self.closeNow(context: context)
        }
        context.writeAndFlush(self.wrapOutboundOut(self.connection.takeOutput() ?? ByteBuffer()), promise: sent)
    }

    private func closeNow(context: ChannelHandlerContext) {
        guard case .closing(let promise) = self.state else { return }
        self.state = .closed
        context.close(promise: promise)
    }

    /// Encrypts what has been written, and writes it to the channel without flushing.
    private func encryptBacklog(context: ChannelHandlerContext) {
        while let (plaintext, promise) = self.backlog.next(upTo: TLSConnection.largestRecord) {
            do {
                try self.connection.send(plaintext)
            } catch {
                promise?.fail(error)
                self.fail(error, context: context)
                return
            }
            context.write(self.wrapOutboundOut(self.connection.takeOutput() ?? ByteBuffer()), promise: promise)
        }
    }

    /// Sends what the connection itself has to say: handshake messages, alerts, close_notify.
    private func sendOutput(context: ChannelHandlerContext) {
        guard let output = self.connection.takeOutput() else { return }
        context.writeAndFlush(self.wrapOutboundOut(output), promise: nil)
    }

    /// The end: nothing that was left is sent any more.
    private func finish() {
        let promise: EventLoopPromise<Void>? = if case .closing(let promise) = self.state { promise } else { nil }
        self.state = .closed
        promise?.succeed()
        self.backlog.fail(TLSError.closed)
        for promise in self.takeOutputCloses() { promise?.fail(TLSError.closed) }
    }

    private func takeOutputCloses() -> [EventLoopPromise<Void>?] {
        defer { self.outputClosesAfterHandshake = [] }
        return self.outputClosesAfterHandshake
    }

    private var isHandshaking: Bool {
        if case .handshaking = self.state { true } else { false }
    }

    private var isOpen: Bool {
        if case .open = self.state { true } else { false }
    }
}

@available(*, unavailable)
extension TLSHandler: Sendable {}
