internal import CNgtcp2
import NIOCore

/// What streams ask of their connection.
extension QUICConnection {
    func openStream() throws(QUICError) -> QUICStream {
        if let reason = self.closeReason { throw .closed(reason) }
        guard self.isHandshakeComplete else { throw .handshakeIncomplete }
        var id: Int64 = -1
        let code = ngtcp2_conn_open_bidi_stream(self.handle, &id, nil)
        guard code == 0 else {
            if code == NGTCP2_ERR_STREAM_ID_BLOCKED { throw .streamLimitReached }
            throw .library(operation: "ngtcp2_conn_open_bidi_stream", message: ngtcp2Message(code))
        }
        let stream = QUICStream(id: id, connection: self)
        self.streams[id] = stream
        ngtcp2_conn_set_stream_user_data(self.handle, id, Unmanaged.passUnretained(stream).toOpaque())
        return stream
    }

    /// `stream` may have something to send.
    func enqueue(_ stream: QUICStream) {
        guard stream.hasWork, stream.place == .none, !stream.isBlocked, self.streams[stream.id] === stream else {
            return
        }
        self.sendQueue.append(stream)
        self.onWork?()
    }

    /// RESET_STREAM. Errors mean out of memory, which the next write reports, or that the stream has gone.
    func shutdownWriting(of stream: QUICStream, code: UInt64) {
        guard self.streams[stream.id] === stream else { return }
        _ = ngtcp2_conn_shutdown_stream_write(self.handle, 0, stream.id, min(code, Self.maxVarint))
        self.onWork?()
    }

    /// STOP_SENDING. Errors as above.
    func shutdownReading(of stream: QUICStream, code: UInt64) {
        guard self.streams[stream.id] === stream else { return }
        _ = ngtcp2_conn_shutdown_stream_read(self.handle, 0, stream.id, min(code, Self.maxVarint))
        self.onWork?()
    }

    /// The delegate is done with `count` bytes of `stream`.
    func streamConsumed(_ stream: QUICStream, _ count: Int) {
        if self.streams[stream.id] === stream {
            let credit = stream.window.consumed(count, at: self.contact.lastReceived) { self.smoothedRTT }
            // Fails only for a stream that ngtcp2 does not know.
            _ = ngtcp2_conn_extend_max_stream_offset(self.handle, stream.id, UInt64(credit))
        }
        self.returnCredit(count)
        self.onWork?()
    }

    /// `count` received bytes need no memory any more.
    func returnCredit(_ count: Int) {
        let returned = self.credit.consumed(count)
        guard returned > 0, case .active = self.state else { return }
        ngtcp2_conn_extend_max_offset(self.handle, UInt64(returned))
    }

    /// Queues a DATAGRAM frame; false when the peer takes none or none as large, or too many wait.
    func sendDatagram(_ payload: ByteBuffer) -> Bool {
        // An empty one says nothing.
        guard payload.readableBytes > 0, payload.readableBytes <= self.maxDatagramPayload,
            self.datagramQueue.append(payload)
        else { return false }
        self.onWork?()
        return true
    }

    /// Largest payload of a DATAGRAM frame on this path now, in bytes; 0 when the peer accepts none.
    var maxDatagramPayload: Int {
        guard case .active = self.state, self.isHandshakeComplete,
            let parameters = ngtcp2_conn_get_remote_transport_params(self.handle)
        else { return 0 }
        // Frame type and length (1 + 2), short header with an id of at most 20 and a packet number of 4 bytes, AEAD
        // tag (16).
        let packet =
            self.context.configuration.discoversPathMTU
            ? Int(clamping: ngtcp2_conn_get_path_max_tx_udp_payload_size(self.handle)) : self.maximumDatagramSize
        let path = packet - (1 + 2) - (1 + 20 + 4) - 16
        let peer = Int(clamping: parameters.pointee.max_datagram_frame_size) - (1 + 2)
        return max(min(path, peer), 0)
    }
}
