package import Basics
package import NIOCore

/// One QUIC connection on an event loop: the timer, the batching and the delegates around a `QUICConnection`.
///
/// All methods must be called on `eventLoop`. Delegates are never called from inside a call to the session or its
/// streams, and may call both as they like. While the connection lives its timer retains the session, so an abandoned
/// one ends with its idle timeout.
package final class QUICSession {
    package let eventLoop: any EventLoop
    /// Told what happens; not retained.
    package weak var delegate: (any QUICSessionDelegate)?
    /// Set to false while the network below takes no more datagrams; what there is to send then stays in the streams.
    package var isPathWritable = true {
        didSet { if self.isPathWritable, !oldValue { self.scheduleProcessing() } }
    }

    /// How this end decides how much it sends, and how fast.
    package var congestionControl: CongestionControl { self.context.configuration.congestionControl }

    private let context: QUICContext
    private let created: NIODeadline
    /// Nil before a server's first packet, and when all is over.
    private(set) var connection: QUICConnection?
    private var transmit: ((QUICTransmit) -> Void)?
    private var finalReason: QUICCloseReason?

    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    private var turn = Turn.idle
    /// Who has the socket; not retained.
    weak var endpoint: (any QUICSessionEndpoint)?

    /// What the session does about what has happened, in this turn of the event loop.
    private enum Turn {
        /// Nothing has happened since `process`.
        case idle
        /// `process` follows in this turn.
        case scheduled
        /// Datagrams come in; `receiveComplete` follows.
        case receiving
        /// Delegates are called and datagrams are sent; once more if it was wanted meanwhile.
        case processing(again: Bool)

        var isWantedAgain: Bool { if case .processing(again: true) = self { true } else { false } }
    }

    /// At most this many bytes are sent before other work of the event loop gets its turn.
    private static let sendBurst = 512 << 10

    init(
        context: QUICContext, connection: QUICConnection?, eventLoop: any EventLoop,
        transmit: @escaping (QUICTransmit) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        self.context = context
        self.connection = connection
        self.eventLoop = eventLoop
        self.transmit = transmit
        self.created = eventLoop.now
        self.adopt(connection)
    }

    /// A client. Its first Initial goes out in this turn of the loop; where datagrams go is up to `transmit`.
    package static func client(
        context: QUICContext, eventLoop: any EventLoop, transmit: @escaping (QUICTransmit) -> Void
    ) throws(QUICError) -> QUICSession {
        guard context.role == .client else { throw .configuration("a client needs a client's context") }
        let connection = try QUICConnection.client(context: context, at: eventLoop.now)
        let session = QUICSession(
            context: context, connection: connection, eventLoop: eventLoop, transmit: transmit)
        session.scheduleProcessing()
        return session
    }

    /// As above, with a context of its own.
    package static func client(
        configuration: QUICConfiguration, eventLoop: any EventLoop, transmit: @escaping (QUICTransmit) -> Void
    ) throws(QUICError) -> QUICSession {
        try self.client(
            context: QUICContext(role: .client, configuration: configuration), eventLoop: eventLoop, transmit: transmit)
    }

    /// A server that accepts exactly one connection: the first Initial packet received creates it.
    package static func server(
        context: QUICContext, eventLoop: any EventLoop, transmit: @escaping (QUICTransmit) -> Void
    ) throws(QUICError) -> QUICSession {
        guard context.role == .server else { throw .configuration("a server needs a server's context") }
        return QUICSession(context: context, connection: nil, eventLoop: eventLoop, transmit: transmit)
    }

    /// As above, with a context of its own.
    package static func server(
        configuration: QUICConfiguration, eventLoop: any EventLoop, transmit: @escaping (QUICTransmit) -> Void
    ) throws(QUICError) -> QUICSession {
        try self.server(
            context: QUICContext(role: .server, configuration: configuration), eventLoop: eventLoop, transmit: transmit)
    }

    /// Datagrams go another way from now on: what has been learnt about the path is forgotten (RFC 9000 §9.4). A server notices
    /// by itself when they come another way.
    package func pathChanged() {
        guard let connection = self.connection else { return }
        connection.pathChanged(at: self.eventLoop.now)
        self.scheduleProcessing()
    }

    /// Largest UDP payload that the path carries, in bytes, with `QUICConfiguration.discoversPathMTU` off. Kept within
    /// 1200 and the configuration's `maxUDPPayload`.
    package var maximumDatagramSize = QUICConfiguration.leastUDPPayload {
        didSet {
            guard !self.context.configuration.discoversPathMTU else { return }
            self.maximumDatagramSize = min(
                max(self.maximumDatagramSize, QUICConfiguration.leastUDPPayload),
                self.context.configuration.maxUDPPayload)
            self.connection?.maximumDatagramSize = self.maximumDatagramSize
        }
    }

    /// Takes what the network brought: one datagram, or with `segmentSize` several behind each other (UDP GRO).
    /// Call `receiveComplete` at the end of the batch.
    ///
    /// - Parameter arrival: where it came in, when the path may change under a server; equal numbers are the same path.
    package func receive(_ datagrams: ByteBuffer, segmentSize: Int?, on arrival: UInt32? = nil) {
        if case .processing = self.turn {} else { self.turn = .receiving }
        guard let connection = self.connection ?? self.accept(datagrams, segmentSize: segmentSize) else { return }
        connection.receive(datagrams, segmentSize: segmentSize, on: arrival, at: self.eventLoop.now)
    }

    /// The batch is over: delegates are called and answers are sent.
    package func receiveComplete() {
        self.process()
    }

    /// Opens a bidirectional stream. Throws `.streamLimitReached`, `.handshakeIncomplete` or `.closed`.
    package func openStream() throws(QUICError) -> QUICStream {
        if let reason = self.finalReason { throw .closed(reason) }
        guard let connection = self.connection else { throw .handshakeIncomplete }
        return try connection.openStream()
    }

    /// How many streams the peer lets us open right now.
    package var availableStreams: Int { self.connection?.availableStreams ?? 0 }

    /// Sends `payload` in one DATAGRAM frame (RFC 9221), unreliably. False when it is larger than
    /// `maxDatagramPayload` or too many wait.
    package func sendDatagram(_ payload: ByteBuffer) -> Bool { self.connection?.sendDatagram(payload) ?? false }

    /// False while more than 32 KiB of DATAGRAM frames wait to be sent; true again below 8 KiB, which the delegate is told.
    package var hasDatagramRoom: Bool { self.connection.map { !$0.datagramQueue.isThrottled } ?? false }

    /// DATAGRAM frames that were thrown away because the path had come to carry less while they waited.
    package var unfitDatagrams: UInt64 { self.connection?.datagramQueue.unfit ?? 0 }

    /// Largest payload of a DATAGRAM frame now, in bytes; grows with path MTU discovery. 0: the peer accepts none.
    package var maxDatagramPayload: Int { self.connection?.maxDatagramPayload ?? 0 }

    /// SHA-256 of the certificate that the peer showed and that was accepted; nil before, or when none was asked for.
    package var peerFingerprint: CertificateFingerprint? { self.connection?.tls.peerFingerprint }

    /// Exporter of RFC 8446 §7.5 (interface of RFC 5705); nil before the handshake is complete. `length`: 1...8160
    /// bytes.
    package func exportKeyingMaterial(label: String, context: [UInt8], length: Int) -> [UInt8]? {
        guard let connection = self.connection, connection.isHandshakeComplete else { return nil }
        return connection.tls.exportKeyingMaterial(label: label, context: context, length: length)
    }

    /// The `tls-exporter` channel binding (RFC 9266 §4.2): 32 bytes; nil before the handshake is complete.
    package var channelBinding: [UInt8]? {
        self.exportKeyingMaterial(label: "EXPORTER-Channel-Binding", context: [], length: 32)
    }

    /// Smoothed round-trip time (RFC 9002 §5.3); before the first sample the initial 333 ms.
    package var smoothedRTT: TimeAmount { self.connection?.smoothedRTT ?? .zero }
    /// The same; nil before there is a sample of the path in use.
    package var measuredRTT: TimeAmount? { self.connection?.measuredRTT }

    /// When the last authentic packet of the peer came.
    package var lastReceived: NIODeadline { self.connection?.contact.lastReceived ?? self.created }

    /// When the oldest packet that asks for an answer left since we last heard from the peer; nil when none did.
    package var unansweredSince: NIODeadline? { self.connection?.contact.unansweredSince }

    package var isHandshakeComplete: Bool { self.connection?.isHandshakeComplete ?? false }
    package var isClosed: Bool { self.closeReason != nil }
    /// Why the connection ended; nil while it lives.
    package var closeReason: QUICCloseReason? { self.finalReason ?? self.connection?.closeReason }

    /// Closes the connection at once; the peer sees `code` (< 2^62) and the first 512 bytes of `reason`. The packet
    /// that says so is sent during the call; streams and the delegate are told in the next turn of the loop.
    package func close(code: UInt64, reason: String) {
        guard !self.isClosed else { return }
        guard let connection = self.connection else {
            self.finalReason = .local(code: code, reason: reason)
            return self.finishUnconnected()
        }
        connection.close(code: code, reason: reason, at: self.eventLoop.now)
        if case .processing = self.turn {} else { _ = self.send() }
        self.scheduleProcessing()
    }

    /// Forgets the connection at once and without a word; the delegate hears of it in the next turn of the loop.
    func abandon() {
        guard self.connection != nil else { return }
        // One that lingers after its end has been told of.
        let isNews = !self.isClosed
        let reason = QUICCloseReason.local(code: 0, reason: "abandoned")
        self.finalReason = self.closeReason ?? reason
        self.terminate()
        guard isNews else { return }
        self.eventLoop.assumeIsolated().execute { self.delegate?.session(self, closed: reason) }
    }

    // MARK: Driving the connection

    /// Creates a server's connection from its first packet; nil when this is none.
    private func accept(_ datagrams: ByteBuffer, segmentSize: Int?) -> QUICConnection? {
        guard self.context.role == .server, self.finalReason == nil,
            let initial = datagrams.withUnsafeReadableBytes({ bytes in
                InitialPacket(UnsafeRawBufferPointer(rebasing: bytes.prefix(segmentSize ?? bytes.count)))
            }),
            // Out of memory is the only error left here; the client tries again.
            let connection = try? QUICConnection.server(context: self.context, initial: initial, at: self.eventLoop.now)
        else { return nil }
        if !self.context.configuration.discoversPathMTU { connection.maximumDatagramSize = self.maximumDatagramSize }
        self.connection = connection
        self.adopt(connection)
        return connection
    }

    private func adopt(_ connection: QUICConnection?) {
        // Weak: a stream that somebody still holds keeps the connection longer than the session.
        connection?.onWork = { [weak self] in self?.scheduleProcessing() }
    }

    /// Has `process` called once in this turn of the loop, unless it runs or will run anyway.
    private func scheduleProcessing() {
        guard case .idle = self.turn else { return }
        self.turn = .scheduled
        self.eventLoop.assumeIsolated().execute {
            // Something else may have been faster.
            if case .scheduled = self.turn { self.process() }
        }
    }

    /// Tells the delegates what happened, sends what there is to send, and sets the timer.
    func process() {
        if case .processing = self.turn {
            self.turn = .processing(again: true)
            return
        }
        guard let connection = self.connection else {
            self.turn = .idle
            return
        }
        var isComplete: Bool
        repeat {
            self.turn = .processing(again: false)
            while let event = connection.events.popFirst() { self.dispatch(event) }
            isComplete = self.send()
        } while self.turn.isWantedAgain || !connection.events.isEmpty
        self.turn = .idle
        self.reportConnectionIDs()
        self.arm()
        if !isComplete { self.scheduleProcessing() }
    }

    /// Sends until the connection has no more or the burst is over; false in the latter case.
    private func send() -> Bool {
        guard let connection = self.connection, self.isPathWritable else { return true }
        let now = self.eventLoop.now
        connection.flush.begin()
        var left = Self.sendBurst
        while let transmit = connection.nextTransmit(at: now) {
            left -= transmit.payload.readableBytes
            self.transmit?(transmit)
            guard left > 0, self.isPathWritable else { return left > 0 }
        }
        return true
    }

    private func dispatch(_ event: QUICEvent) {
        switch event {
        case .handshakeCompleted: self.delegate?.sessionHandshakeCompleted(self)
        case .streamOpened(let stream): self.delegate?.session(self, streamOpened: stream)
        case .streamReceived(let stream, let bytes):
            if let delegate = stream.delegate {
                delegate.stream(stream, received: bytes)
            } else {
                // Nobody will ever consume it.
                stream.consume(bytes.readableBytes)
            }
        case .streamFinished(let stream): stream.delegate?.streamFinished(stream)
        case .streamReset(let stream, let code): stream.delegate?.stream(stream, resetWith: code)
        case .streamStopped(let stream, let code): stream.delegate?.stream(stream, stoppedWith: code)
        case .streamWritable(let stream): stream.delegate?.streamBecameWritable(stream)
        case .streamClosed(let stream, let reason):
            stream.delegate?.streamClosed(stream, reason: reason)
            stream.delegate = nil
        case .datagram(let payload): self.delegate?.session(self, datagramReceived: payload)
        case .datagramsWritable: self.delegate?.sessionDatagramsWritable(self)
        case .streamsAvailable: self.delegate?.sessionStreamsAvailable(self)
        case .closed(let reason): self.delegate?.session(self, closed: reason)
        }
    }

    /// Tells the endpoint which ids the connection has given out and taken back.
    func reportConnectionIDs() {
        guard let (issued, retired) = self.connection?.ids.takeChanges() else { return }
        self.endpoint?.session(self, issued: issued, retired: retired)
    }

    // MARK: The timer

    /// Sets the timer for the connection's deadline. A timer that fires earlier is left alone: it sets the next one.
    private func arm() {
        guard let connection = self.connection else { return }
        if case .terminated = connection.state { return self.terminate() }
        guard let next = connection.nextDeadline else { return }
        // Not at once, so that no state of ngtcp2 can keep the loop busy.
        let deadline = max(next, self.eventLoop.now + .microseconds(100))
        guard self.timer == nil || deadline < self.timerDeadline else { return }
        self.timer?.cancel()
        self.timerDeadline = deadline
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.timerFired() }
    }

    private func timerFired() {
        self.timer = nil
        self.connection?.handleTimeout(at: self.eventLoop.now)
        self.process()
    }

    /// Forgets the connection; nothing is sent or received any more.
    private func terminate() {
        self.timer?.cancel()
        self.timer = nil
        self.finalReason = self.finalReason ?? self.connection?.closeReason
        self.connection = nil
        self.transmit = nil
        self.endpoint?.sessionTerminated(self)
        self.endpoint = nil
    }

    /// Closed before there was a connection.
    private func finishUnconnected() {
        self.eventLoop.assumeIsolated().execute {
            guard let reason = self.finalReason else { return }
            self.delegate?.session(self, closed: reason)
            self.terminate()
        }
    }
}

@available(*, unavailable)
extension QUICSession: Sendable {}
