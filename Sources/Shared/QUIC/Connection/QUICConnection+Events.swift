internal import CNgtcp2
import NIOCore

/// What callbacks record.
extension QUICConnection {
    func recordStreamsAvailable() {
        // Before that, nothing may get in front of the news that the handshake is complete.
        if self.isHandshakeComplete { self.events.appendStreamsAvailable() }
    }

    func recordDatagram(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.events.append(.datagram(ByteBuffer(bytes: bytes)))
    }

    func recordStreamOpened(_ id: Int64) -> QUICStream {
        let stream = QUICStream(id: id, connection: self)
        self.streams[id] = stream
        self.events.note(.opened, on: stream)
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
            self.events.note(.received, on: stream)
        }
        if isLast { self.events.note(.finished, on: stream) }
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
        self.events.note(.reset, on: stream)
    }

    func recordStreamClosed(_ stream: QUICStream) {
        self.streams[stream.id] = nil
        stream.abandonSending()
        self.events.note(.closed, on: stream)
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
        self.events.note(.stopped, on: stream)
    }

    /// A new connection ID for the peer to use, with its stateless reset token (RFC 9000 §5.1.1, §10.3).
    func makeConnectionID(
        _ id: UnsafeMutablePointer<ngtcp2_cid>, token: UnsafeMutablePointer<UInt8>, length: Int
    ) -> Int32 {
        let new = ConnectionID.random()
        id.pointee = new.cid
        let key = self.context.statelessResetKey
        guard length == new.length, self.ids.issue(new, at: self.contact.lastReceived),
            ngtcp2_crypto_generate_stateless_reset_token(token, key, key.count, id) == 0
        else { return NGTCP2_ERR_CALLBACK_FAILURE }
        return 0
    }
}
