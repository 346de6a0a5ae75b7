package import NIOCore
package import QUIC

/// A control connection over the first bidirectional stream of a QUIC connection, each message with its length in front.
///
/// `QUICConnector` makes the client's, `QUICLinkAcceptor` the server's.
package final class QUICLink: SignalLink {
    private enum State {
        case open
        /// Our direction is finished; the connection is closed when the peer's is, or when the timer fires.
        case closing(timer: Scheduled<Void>, closed: EventLoopPromise<Void>?)
        case closed
    }

    package let localAddress: SocketAddress?
    package let remoteAddress: SocketAddress?
    package var delegate: (any SignalLinkDelegate)? {
        get { self.outlet.delegate }
        set {
            self.outlet.delegate = newValue
            self.outlet.deliverAll(from: self)
            if newValue != nil { self.returnCredit() }
        }
    }

    let session: QUICSession
    private let stream: QUICStream
    private let outlet = SignalLinkOutlet()
    private var decoder = SignalRecordDecoder()
    private var state = State.open
    /// Whether the peer may send messages of full size.
    private var isTrusted: Bool
    private var strangerBytes = 0
    private var strangerMessages = 0
    /// Bytes that have come in while messages wait for somebody to take them: the stream brings no more than its window.
    private var heldCredit = 0

    /// Takes over a stream and the connection it is on.
    ///
    /// - Parameter isTrusted: false when the peer has to prove the secret first.
    init(
        session: QUICSession, stream: QUICStream, localAddress: SocketAddress?, remoteAddress: SocketAddress?,
        isTrusted: Bool = true
    ) {
        self.isTrusted = isTrusted
        self.session = session
        self.stream = stream
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
        stream.writableMarks = SignalLinkLimits.roomMarks
        stream.delegate = self
        session.delegate = self
        if !isTrusted { self.decoder.maximumMessageSize = SignalLinkLimits.maximumStrangerBytes }
    }

    package func peerProved() {
        self.isTrusted = true
        self.decoder.maximumMessageSize = SignalLinkLimits.maximumMessageSize
    }

    private func returnCredit() {
        let credit = self.heldCredit
        self.heldCredit = 0
        if credit > 0 { self.stream.consume(credit) }
    }

    package var eventLoop: any EventLoop { self.session.eventLoop }

    package var channelBinding: [UInt8]? { self.session.channelBinding }

    package var lastReceived: NIODeadline { self.session.lastReceived }

    package var pendingBytes: Int { self.stream.unsentBytes }

    package func send(_ message: ByteBuffer) {
        guard case .open = self.state else { return }
        let pending = self.pendingBytes + message.readableBytes
        guard pending <= SignalLinkLimits.maximumPendingBytes else {
            // Told later: nobody expects to hear of the end from inside `send`.
            self.eventLoop.assumeIsolated().execute {
                guard case .open = self.state else { return }
                self.fail(SignalLinkError.peerNotReading(pendingBytes: pending))
            }
            return
        }
        self.stream.write(SignalRecordDecoder.record(message))
    }

    package var hasRoom: Bool {
        guard case .open = self.state else { return false }
        return self.stream.isWritable && self.session.hasDatagramRoom
    }

    /// What fits into a DATAGRAM frame (RFC 9221). For a peer that takes none, as much as may wait in the stream.
    package var preferredUnreliableSize: Int {
        let size = self.session.maxDatagramPayload
        return size > 0 ? size : SignalLinkLimits.roomMarks.high
    }

    /// What does not fit into a DATAGRAM frame goes over the stream, where nothing gets lost: so only while there is room.
    package func sendUnreliably(_ message: ByteBuffer) {
        guard case .open = self.state else { return }
        guard message.readableBytes > self.session.maxDatagramPayload else {
            _ = self.session.sendDatagram(message)
            return
        }
        guard self.stream.isWritable else { return }
        self.stream.write(SignalRecordDecoder.record(message))
    }

    package func flush() {
        // The session gathers what one turn of the loop brings.
    }

    package func close(_ closed: EventLoopPromise<Void>?) {
        self.outlet.close()
        guard case .open = self.state else {
            closed?.succeed()
            return
        }
        self.stream.finish()
        let timer = self.eventLoop.assumeIsolated().scheduleTask(in: SignalLinkLimits.closeTimeout) {
            self.closeSession(reason: "")
        }
        self.state = .closing(timer: timer, closed: closed)
    }

    private func closeSession(reason: String) {
        let state = self.state
        self.state = .closed
        self.session.close(code: 0, reason: reason)
        if case .closing(let timer, let closed) = state {
            timer.cancel()
            closed?.succeed()
        }
    }

    private func fail(_ error: SignalLinkError) {
        self.closeSession(reason: "\(error)")
        self.outlet.end(error: error, of: self)
    }
}

@available(*, unavailable)
extension QUICLink: Sendable {}

// MARK: - The stream

extension QUICLink: QUICStreamDelegate {
    package func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        self.heldCredit += bytes.readableBytes
        guard case .open = self.state else { return self.returnCredit() }
        self.decoder.append(bytes)
        self.strangerBytes += bytes.readableBytes
        do throws(SignalLinkError) {
            if !self.isTrusted, self.strangerBytes > SignalLinkLimits.maximumStrangerBytes { throw .messageTooLarge }
            while case .open = self.state, let message = try self.decoder.next() {
                self.strangerMessages += 1
                if !self.isTrusted, self.strangerMessages > SignalLinkLimits.maximumStrangerMessages {
                    throw .framing("too many messages before the handshake")
                }
                if !self.outlet.deliver(message, from: self) {
                    throw .framing("too many messages before the handshake")
                }
            }
            if !self.outlet.isHolding { self.returnCredit() }
        } catch {
            self.fail(error)
        }
    }

    package func streamFinished(_ stream: QUICStream) {
        self.closeSession(reason: "")
        self.outlet.end(error: self.decoder.isMidRecord ? SignalLinkError.truncated : nil, of: self)
    }

    package func stream(_ stream: QUICStream, resetWith code: UInt64) {
        self.fail(.truncated)
    }

    package func stream(_ stream: QUICStream, stoppedWith code: UInt64) {
        self.fail(.truncated)
    }

    package func streamBecameWritable(_ stream: QUICStream) {
        self.roomMayHaveCome()
    }

    private func roomMayHaveCome() {
        if self.hasRoom { self.delegate?.linkBecameWritable(self) }
    }

    package func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {
        self.closeSession(reason: "")
        switch reason {
        case nil, .peer(code: 0, reason: ""):
            self.outlet.end(error: nil, of: self)
        case let reason?:
            self.outlet.end(error: reason, of: self)
        }
    }
}

// MARK: - The connection

extension QUICLink: QUICSessionDelegate {
    package func sessionHandshakeCompleted(_ session: QUICSession) {}

    package func session(_ session: QUICSession, streamOpened stream: QUICStream) {
        // One stream is all there is.
        stream.reset(code: 0)
        stream.stopSending(code: 0)
    }

    package func session(_ session: QUICSession, datagramReceived datagram: ByteBuffer) {
        guard case .open = self.state else { return }
        // What comes before there is somebody for it is lost.
        self.delegate?.link(self, receivedUnreliable: datagram)
    }

    package func sessionDatagramsWritable(_ session: QUICSession) {
        self.roomMayHaveCome()
    }

    package func session(_ session: QUICSession, closed reason: QUICCloseReason) {
        // The stream has told already.
    }
}
