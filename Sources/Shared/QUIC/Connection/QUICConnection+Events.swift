internal import CNgtcp2
import NIOCore

/// What callbacks record, and how the owner gets to know it.
extension QUICConnection {
    /// A batch may bring more; then its buffer grows.
    private static let maxExpectedBytes = 256 << 10

    /// Whether `nextEvent` has something to tell.
    var hasEvents: Bool { !self.newsworthy.isEmpty || !self.pendingEvents.isEmpty }

    /// The next thing to tell, nil when all is told.
    func nextEvent() -> QUICEvent? {
        // Streams first: what a stream received goes out before the news that the whole connection is closed.
        if case .handshakeCompleted? = self.pendingEvents.first { return self.pendingEvents.popFirst() }
        while let stream = self.newsworthy.first {
            if let event = self.nextEvent(of: stream) { return event }
            self.newsworthy.removeFirst()
        }
        return self.pendingEvents.popFirst()
    }

    private func nextEvent(of stream: QUICStream) -> QUICEvent? {
        if stream.news.remove(.opened) != nil { return .streamOpened(stream) }
        if stream.news.remove(.received) != nil {
            let bytes = stream.received
            stream.received = ByteBuffer()
            stream.expectedBytes = min(bytes.readableBytes, Self.maxExpectedBytes)
            return .streamReceived(stream, bytes)
        }
        if stream.news.remove(.finished) != nil { return .streamFinished(stream) }
        if stream.news.remove(.reset) != nil { return .streamReset(stream, code: stream.resetCode) }
        if stream.news.remove(.stopped) != nil { return .streamStopped(stream, code: stream.stopCode) }
        if stream.news.remove(.writable) != nil { return .streamWritable(stream) }
        if stream.news.remove(.closed) != nil { return .streamClosed(stream, reason: stream.closeReason) }
        return nil
    }

    func note(_ news: QUICStream.News, on stream: QUICStream) {
        if stream.news.isEmpty { self.newsworthy.append(stream) }
        stream.news.insert(news)
    }

    func recordHandshakeCompleted() {
        self.isHandshakeComplete = true
        self.pendingEvents.append(.handshakeCompleted)
    }

    /// One piece of news says it all, however often the limit was raised in a batch.
    func recordStreamsAvailable() {
        // Before that, nothing may get in front of the news that the handshake is complete.
        guard self.isHandshakeComplete else { return }
        if case .streamsAvailable? = self.pendingEvents.last { return }
        self.pendingEvents.append(.streamsAvailable)
    }

    func recordDatagram(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.pendingEvents.append(.datagram(ByteBuffer(bytes: bytes)))
    }

    func recordStreamOpened(_ id: Int64) -> QUICStream {
        let stream = QUICStream(id: id, connection: self)
        self.streams[id] = stream
        self.note(.opened, on: stream)
        return stream
    }

    func recordStreamData(_ stream: QUICStream, _ bytes: UnsafeRawBufferPointer, isLast: Bool) {
        let returned = self.credit.received(bytes.count)
        if returned > 0 { ngtcp2_conn_extend_max_offset(self.handle, UInt64(returned)) }
        guard !stream.ignoresReceived else {
            self.returnCredit(bytes.count)
            return
        }
        if !bytes.isEmpty {
            if stream.received.capacity == 0 {
                stream.received.reserveCapacity(max(bytes.count, stream.expectedBytes))
            }
            stream.received.writeBytes(bytes)
            stream.unconsumed += bytes.count
            self.note(.received, on: stream)
        }
        if isLast { self.note(.finished, on: stream) }
    }

    func recordStreamUnblocked(_ stream: QUICStream) {
        stream.isBlocked = false
        self.enqueue(stream)
    }

    /// The peer has acknowledged everything up to `offset`.
    func recordStreamAcknowledged(_ stream: QUICStream, upTo offset: UInt64) {
        stream.sendBuffer.acknowledge(upTo: offset)
        if case .resetting = stream.sendState, stream.undeliveredBytes == 0 { self.deliveredStreams.append(stream) }
    }

    /// Resets the streams that have waited for the delivery of what they sent. Not for callbacks of ngtcp2.
    func resetDelivered() {
        for stream in self.deliveredStreams {
            if case .resetting(let code) = stream.sendState { stream.reset(code: code) }
        }
        self.deliveredStreams.removeAll()
    }

    func recordStreamReset(_ stream: QUICStream, code: UInt64) {
        guard !stream.ignoresReceived else { return }
        stream.resetCode = code
        self.note(.reset, on: stream)
    }

    func recordStreamClosed(_ stream: QUICStream) {
        self.streams[stream.id] = nil
        stream.abandonSending()
        self.note(.closed, on: stream)
        if ngtcp2_conn_is_local_stream(self.handle, stream.id) == 0 {
            // The peer may open another one in its place (RFC 9000 §4.6).
            ngtcp2_conn_extend_max_streams_bidi(self.handle, 1)
        }
    }

    /// The peer reads no more. ngtcp2 has put RESET_STREAM on its way.
    func recordStreamStopped(_ stream: QUICStream, code: UInt64) {
        switch stream.sendState {
        case .open, .finishing, .resetting:
            break
        case .finished where stream.sendBuffer.acknowledgedOffset < stream.sendBuffer.endOffset:
            break
        case .finished, .abandoned:
            return
        }
        stream.abandonSending()
        stream.stopCode = code
        self.note(.stopped, on: stream)
    }

    /// Each is kept until the peer has acknowledged it, and one takes the place of each that the peer retires: a peer that
    /// goes on retiring and acknowledges nothing has no honest purpose.
    private var mayIssueID: Bool {
        if self.lastReceived - self.issuingSince > Self.issuingPeriod {
            self.issuingSince = self.lastReceived
            self.issuedInPeriod = 0
        }
        self.issuedInPeriod += 1
        return self.issuedInPeriod <= Self.maximumIssued
    }

    /// An honest peer needs one or two for each move of its path.
    private static var maximumIssued: Int { 256 }
    private static var issuingPeriod: TimeAmount { .seconds(10) }

    /// A new connection ID for the peer to use, with its stateless reset token (RFC 9000 §5.1.1, §10.3).
    func makeConnectionID(
        _ id: UnsafeMutablePointer<ngtcp2_cid>, token: UnsafeMutablePointer<UInt8>, length: Int
    ) -> Int32 {
        let new = ConnectionID.random()
        guard length == new.length, self.mayIssueID else { return NGTCP2_ERR_CALLBACK_FAILURE }
        id.pointee = new.cid
        let key = self.context.statelessResetKey
        guard ngtcp2_crypto_generate_stateless_reset_token(token, key, key.count, id) == 0 else {
            return NGTCP2_ERR_CALLBACK_FAILURE
        }
        self.issuedIDs.append(new)
        return 0
    }
}
