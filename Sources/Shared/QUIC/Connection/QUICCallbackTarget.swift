internal import CNgtcp2
import NIOCore

/// What ngtcp2's user data points to: the way from a C callback to its connection.
///
/// An object of its own because ngtcp2 takes the pointer when the connection's `init` is not finished. Owned by the
/// connection.
final class QUICCallbackTarget {
    /// Nil only while ngtcp2's connection is being made; never dangling, as the connection owns this object.
    unowned(unsafe) var connection: QUICConnection?

    /// The TLS alert `unexpected_message` (RFC 8446 §6.2).
    private static let unexpectedMessage: UInt8 = 10

    /// The functions ngtcp2 calls: TLS and packet protection go to its own GnuTLS helper, the rest records events.
    static func callbacks() -> ngtcp2_callbacks {
        var callbacks = ngtcp2_callbacks()
        callbacks.client_initial = ngtcp2_crypto_client_initial_cb
        callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb
        callbacks.recv_crypto_data = { handle, level, offset, data, length, target in
            // After the handshake nobody has anything to say in TLS: there are no tickets, and a KeyUpdate is forbidden
            // (RFC 9001 §6). GnuTLS would keep it all.
            guard level != NGTCP2_ENCRYPTION_LEVEL_1RTT else {
                ngtcp2_conn_set_tls_alert(handle, QUICCallbackTarget.unexpectedMessage)
                return NGTCP2_ERR_CRYPTO
            }
            return ngtcp2_crypto_recv_crypto_data_cb(handle, level, offset, data, length, target)
        }
        callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb
        callbacks.encrypt = ngtcp2_crypto_encrypt_cb
        callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb
        callbacks.decrypt = ngtcp2_crypto_decrypt_cb
        callbacks.update_key = ngtcp2_crypto_update_key_cb
        callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb
        callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb
        callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb
        callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb
        callbacks.rand = { bytes, count, _ in
            // Not for secrets: ngtcp2 uses it to vary what it may choose freely.
            _ = gnutls_rnd(GNUTLS_RND_NONCE, bytes, count)
        }
        self.addConnectionCallbacks(&callbacks)
        self.addStreamCallbacks(&callbacks)
        return callbacks
    }

    private static func addConnectionCallbacks(_ callbacks: inout ngtcp2_callbacks) {
        callbacks.handshake_completed = { _, target in
            QUICCallbackTarget.record(target) { $0.recordHandshakeCompleted() }
        }
        callbacks.recv_stateless_reset = { _, _, target in
            QUICCallbackTarget.record(target) { $0.wasStatelesslyReset = true }
        }
        callbacks.recv_datagram = { _, _, data, length, target in
            QUICCallbackTarget.record(target) { $0.recordDatagram(UnsafeBufferPointer(start: data, count: length)) }
        }
        callbacks.get_new_connection_id = { _, id, token, length, target in
            guard let id, let token, let connection = QUICCallbackTarget.connection(target) else {
                return NGTCP2_ERR_CALLBACK_FAILURE
            }
            return connection.makeConnectionID(id, token: token, length: length)
        }
        callbacks.remove_connection_id = { _, id, target in
            guard let id else { return NGTCP2_ERR_CALLBACK_FAILURE }
            return QUICCallbackTarget.record(target) { $0.ids.retire(ConnectionID(id.pointee)) }
        }
    }

    private static func addStreamCallbacks(_ callbacks: inout ngtcp2_callbacks) {
        callbacks.stream_open = { handle, id, target in
            QUICCallbackTarget.record(target) { connection in
                let stream = connection.recordStreamOpened(id)
                ngtcp2_conn_set_stream_user_data(handle, id, Unmanaged.passUnretained(stream).toOpaque())
            }
        }
        callbacks.recv_stream_data = { _, flags, _, _, data, length, target, stream in
            QUICCallbackTarget.record(target, stream) {
                $0.recordStreamData(
                    $1, UnsafeRawBufferPointer(start: data, count: length),
                    isLast: flags & UInt32(NGTCP2_STREAM_DATA_FLAG_FIN) != 0)
            }
        }
        callbacks.extend_max_local_streams_bidi = { _, _, target in
            QUICCallbackTarget.record(target) { $0.recordStreamsAvailable() }
        }
        callbacks.acked_stream_data_offset = { _, _, offset, length, target, stream in
            QUICCallbackTarget.record(target, stream) { $0.recordStreamAcknowledged($1, upTo: offset + length) }
        }
        callbacks.extend_max_stream_data = { _, _, _, target, stream in
            QUICCallbackTarget.record(target, stream) { $0.recordStreamUnblocked($1) }
        }
        callbacks.recv_stop_sending = { _, _, code, target, stream in
            QUICCallbackTarget.record(target, stream) { $0.recordStreamStopped($1, code: code) }
        }
        callbacks.stream_reset = { _, _, _, code, target, stream in
            QUICCallbackTarget.record(target, stream) { $0.recordStreamReset($1, code: code) }
        }
        callbacks.stream_close = { _, _, _, _, target, stream in
            QUICCallbackTarget.record(target, stream) { $0.recordStreamClosed($1) }
        }
    }

    private static func connection(_ target: UnsafeMutableRawPointer?) -> QUICConnection? {
        guard let target else { return nil }
        return Unmanaged<QUICCallbackTarget>.fromOpaque(target).takeUnretainedValue().connection
    }

    private static func record(_ target: UnsafeMutableRawPointer?, _ body: (QUICConnection) -> Void) -> Int32 {
        guard let connection = self.connection(target) else { return NGTCP2_ERR_CALLBACK_FAILURE }
        body(connection)
        return 0
    }

    /// As above for a stream's event. Streams reset before they were opened have no object; nobody waits for their
    /// news.
    private static func record(
        _ target: UnsafeMutableRawPointer?, _ stream: UnsafeMutableRawPointer?,
        _ body: (QUICConnection, QUICStream) -> Void
    ) -> Int32 {
        guard let stream else { return 0 }
        return self.record(target) { connection in
            body(connection, Unmanaged<QUICStream>.fromOpaque(stream).takeUnretainedValue())
        }
    }
}
