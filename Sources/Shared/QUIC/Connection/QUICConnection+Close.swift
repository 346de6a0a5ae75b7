internal import CNgtcp2
import NIOCore
import TLS

/// The ways to the end (RFC 9000 §10).
extension QUICConnection {
    /// Closes at once (RFC 9000 §10.2); the peer sees `code`, at most 2^62 - 1, and `reason`.
    func close(code: UInt64, reason: String, at now: NIODeadline) {
        guard case .active = self.state else { return }
        // A server has no keys before a packet of the client has been read, and ngtcp2 does not look.
        guard self.context.role == .client || self.contact.hasHeard else {
            self.state = .terminated
            return self.finish(.local(code: code, reason: reason))
        }
        self.sendClose(at: now, reason: reason) { error, text, length in
            ngtcp2_ccerr_set_application_error(&error, min(code, Self.maxVarint), text, length)
        }
        self.finish(.local(code: code, reason: reason))
    }

    /// Ends the connection for an error that ngtcp2 returned, or should have.
    ///
    /// - Parameter words: why, if ngtcp2 has no good words for it.
    func fail(_ code: Int32, because words: String? = nil, at now: NIODeadline) {
        guard case .active = self.state else { return }
        switch code {
        case NGTCP2_ERR_DRAINING:
            self.state = .draining(until: self.endOfLinger(from: now))
            self.finish(self.wasStatelesslyReset ? .statelessReset : self.reasonOfPeer())
        case NGTCP2_ERR_IDLE_CLOSE:
            // Both ends forget silently (RFC 9000 §10.1).
            self.state = .terminated
            self.finish(.idleTimedOut)
        case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
            self.state = .terminated
            self.finish(.versionNegotiationFailed)
        case NGTCP2_ERR_DROP_CONN, NGTCP2_ERR_RETRY:
            // ngtcp2 asks to forget an attempt that was never a connection.
            self.state = .terminated
            self.finish(.handshakeFailed("the first packet cannot be accepted"))
        case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
            self.sendClose(at: now, reason: "handshake timed out") { error, text, length in
                ngtcp2_ccerr_set_transport_error(&error, UInt64(NGTCP2_NO_ERROR), text, length)
            }
            self.finish(.handshakeTimedOut)
        case NGTCP2_ERR_CRYPTO:
            self.failHandshake(at: now)
        default:
            let detail = words ?? ngtcp2Message(code)
            self.sendClose(at: now, reason: "") { error, text, length in
                ngtcp2_ccerr_set_liberr(&error, code, text, length)
            }
            self.finish(.transport(code: ngtcp2_err_infer_quic_transport_error_code(code), detail: detail))
        }
    }

    /// TLS failed on our side: the alert travels as transport error 0x100 + alert (RFC 9001 §4.8).
    private func failHandshake(at now: NIODeadline) {
        let alert = ngtcp2_conn_get_tls_alert(self.handle)
        self.sendClose(at: now, reason: "") { error, text, length in
            ngtcp2_ccerr_set_tls_alert(&error, alert, text, length)
        }
        if let rejection = self.tls.rejection {
            self.finish(.untrusted(rejection))
        } else if alert == Self.certificateRequired {
            self.finish(.untrusted(.missing))
        } else {
            self.finish(.handshakeFailed(alertDescription(alert)))
        }
    }

    /// What the CONNECTION_CLOSE frame of the peer says.
    private func reasonOfPeer() -> QUICCloseReason {
        let error = ngtcp2_conn_get_ccerr(self.handle).pointee
        let text = String(decoding: UnsafeBufferPointer(start: error.reason, count: error.reasonlen), as: UTF8.self)
        if error.type == NGTCP2_CCERR_TYPE_APPLICATION {
            return .peer(code: error.error_code, reason: text)
        }
        let alerts = UInt64(NGTCP2_CRYPTO_ERROR)...UInt64(NGTCP2_CRYPTO_ERROR) + 0xff
        if alerts ~= error.error_code {
            let alert = UInt8(truncatingIfNeeded: error.error_code)
            return .peerAlert(code: alert, description: alertDescription(alert))
        }
        return .peerTransport(code: error.error_code, reason: text)
    }

    /// Writes the packet that says goodbye and enters the closing state.
    private func sendClose(
        at now: NIODeadline, reason: String,
        _ describe: (inout ngtcp2_ccerr, UnsafePointer<UInt8>?, Int) -> Void
    ) {
        // A reason too long for the packet would keep the frame from being written.
        let text = Array(reason.utf8.prefix(Self.longestCloseReason))
        var packet = ByteBuffer()
        packet.writeWithUnsafeMutableBytes(minimumWritableBytes: self.context.configuration.maxUDPPayload) { target in
            text.withUnsafeBufferPointer { text in
                var error = ngtcp2_ccerr()
                ngtcp2_ccerr_default(&error)
                describe(&error, text.baseAddress, text.count)
                let written = CNgtcp2_conn_write_connection_close(
                    self.handle, target.bindMemory(to: UInt8.self).baseAddress,
                    min(target.count, self.context.configuration.maxUDPPayload), &error, now.uptimeNanoseconds)
                return max(written, 0)
            }
        }
        guard packet.readableBytes > 0 else {
            // Nothing can be said, as when the handshake has no keys yet.
            self.state = .terminated
            return
        }
        self.state = .closing(until: self.endOfLinger(from: now), Farewell(packet))
        self.flush.held = QUICTransmit(payload: packet, segmentSize: nil)
    }

    /// Tells the streams and the owner. `state` has been set.
    private func finish(_ reason: QUICCloseReason) {
        self.closeReason = reason
        self.sendQueue.removeAll()
        self.datagramQueue.removeAll()
        self.deliveredStreams.removeAll()
        self.contact.end()
        for stream in self.streams.values.sorted(by: { $0.id < $1.id }) {
            stream.abandonSending()
            stream.closeReason = reason
            self.events.note(.closed, on: stream)
        }
        self.streams.removeAll()
        self.events.append(.closed(reason))
    }

    /// Closing and draining last three times the probe timeout (RFC 9000 §10.2).
    private func endOfLinger(from now: NIODeadline) -> NIODeadline {
        now + .nanoseconds(Int64(clamping: ngtcp2_conn_get_pto(self.handle))) * 3
    }

    /// Leaves room for the header and the rest of the frame in a packet of 1200 bytes.
    private static let longestCloseReason = 512
    /// The TLS alert `certificate_required` (RFC 8446 §6.2): GnuTLS finds an empty certificate list before it asks us.
    private static let certificateRequired: UInt8 = 116
    /// RFC 9000 §16.
    static let maxVarint: UInt64 = (1 << 62) - 1
}
