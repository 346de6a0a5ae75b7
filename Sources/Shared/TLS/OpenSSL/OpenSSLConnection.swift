import Basics
internal import COpenSSL
import Crypto

/// Owns an `SSL` and what it borrows: the state that OpenSSL keeps about one connection.
final class OpenSSLConnection {
    /// What a call that moves the connection on came to.
    enum Outcome {
        /// Done; for reads and writes, with so many bytes.
        case complete(Int)
        /// Cannot go on before more bytes arrive.
        case incomplete
        /// The peer said close_notify.
        case closed
        /// The connection is dead.
        case failed(TLSError)
    }

    let pointer: OpaquePointer
    private let context: OpenSSLContext
    private let transport: OpenSSLTransport
    private let check: PeerCertificateCheck

    /// - Parameter serverName: what a client asks for in SNI, unless it is an IP address. The name to verify comes from
    ///   the context, and is also the one to ask for when this is nil.
    init(context: OpenSSLContext, transport: OpenSSLTransport, serverName: String?) throws(TLSError) {
        OpenSSLErrors.clear()
        guard let pointer = SSL_new(context.pointer) else {
            throw .operationFailed("make a TLS connection", OpenSSLErrors.drain())
        }
        self.pointer = pointer
        self.context = context
        self.transport = transport
        self.check = PeerCertificateCheck(context.verification)
        self.check.attach(to: pointer)

        let bio = try transport.makeBIO()
        // Takes over the one reference, which serves for both directions.
        SSL_set_bio(pointer, bio, bio)
        switch context.role {
        case .server:
            SSL_set_accept_state(pointer)
        case .client:
            SSL_set_connect_state(pointer)
            try self.setNames(serverName)
        }
    }

    deinit {
        // Frees the BIO too, which points at `transport`; that and `check` go right after this.
        SSL_free(self.pointer)
    }

    private func setNames(_ serverName: String?) throws(TLSError) {
        var requested = serverName
        if case .certificateAuthorities(_, let verified) = self.context.verification {
            let parameters = SSL_get0_param(self.pointer)
            let accepted: Int32
            if isIPAddressLiteral(verified) {
                accepted = X509_VERIFY_PARAM_set1_ip_asc(parameters, verified)
            } else {
                X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
                accepted = X509_VERIFY_PARAM_set1_host(parameters, verified, 0)
            }
            // An empty name would switch the check off.
            guard accepted == 1, !verified.isEmpty else {
                throw .operationFailed("check certificates for the name \"\(verified)\"", OpenSSLErrors.drain())
            }
            requested = requested ?? verified
        }
        // RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in HostName."
        if let requested, !requested.isEmpty, !isIPAddressLiteral(requested) {
            guard COpenSSL_SSL_set_tlsext_host_name(self.pointer, requested) == 1 else {
                throw .operationFailed("ask for the server name \"\(requested)\"", OpenSSLErrors.drain())
            }
        }
    }

    // MARK: Moving on

    /// Goes on with the handshake as far as the received bytes allow.
    func handshake() -> Outcome {
        OpenSSLErrors.clear()
        let status = SSL_do_handshake(self.pointer)
        return status == 1 ? .complete(0) : self.outcome(of: status, duringHandshake: true)
    }

    /// Decrypts into `buffer`; at most what one record holds.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        OpenSSLErrors.clear()
        var count = 0
        let status = SSL_read_ex(self.pointer, buffer.baseAddress, buffer.count, &count)
        return status == 1 ? .complete(count) : self.outcome(of: status, duringHandshake: false)
    }

    /// Encrypts all of `bytes`, of which there must be some.
    func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        OpenSSLErrors.clear()
        var count = 0
        let status = SSL_write_ex(self.pointer, bytes.baseAddress, bytes.count, &count)
        return status == 1 ? .complete(count) : self.outcome(of: status, duringHandshake: false)
    }

    /// Says close_notify, once, if the handshake has been completed.
    func shutdown() {
        OpenSSLErrors.clear()
        if SSL_is_init_finished(self.pointer) == 1, SSL_get_shutdown(self.pointer) & SSL_SENT_SHUTDOWN == 0 {
            SSL_shutdown(self.pointer)
        }
        OpenSSLErrors.clear()
    }

    /// Decrypted bytes that are waiting to be read.
    var pendingBytes: Int {
        max(0, Int(SSL_pending(self.pointer)))
    }

    private func outcome(of status: Int32, duringHandshake: Bool) -> Outcome {
        // SSL_get_error looks at the error queue too, so it comes before the queue is emptied.
        let code = SSL_get_error(self.pointer, status)
        let errors = OpenSSLErrors.drain()
        switch code {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            return .incomplete
        case SSL_ERROR_ZERO_RETURN:
            return .closed
        default:
            return .failed(self.error(from: errors, duringHandshake: duringHandshake))
        }
    }

    private func error(from errors: OpenSSLErrors, duringHandshake: Bool) -> TLSError {
        if let rejection = self.check.rejection {
            return .certificateRejected(rejection)
        }
        if errors.contains(library: ERR_LIB_SSL, reason: SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
            return .certificateRejected(.missing)
        }
        if let alert = errors.receivedAlert {
            return .alertReceived(alert)
        }
        return duringHandshake ? .handshakeFailed(errors) : .protocolError(errors)
    }

    // MARK: What was agreed

    /// The ALPN protocol chosen, nil if there was none.
    var applicationProtocol: String? {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(self.pointer, &name, &length)
        guard let name, length > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
    }

    /// The fingerprint of the certificate that the peer sent, nil if it sent none.
    var peerFingerprint: CertificateFingerprint? {
        SSL_get0_peer_certificate(self.pointer).flatMap { certificateFingerprint(of: $0) }
    }

    /// The `tls-exporter` channel binding, RFC 9266: 32 bytes, once the handshake is complete.
    ///
    /// Nil for a connection whose exporters do not identify it: one older than TLS 1.3 without the extended master
    /// secret, where a man in the middle can give both sides the same secret (RFC 9266 §3, RFC 7627).
    var channelBinding: [UInt8]? {
        guard SSL_version(self.pointer) == TLS1_3_VERSION || COpenSSL_SSL_get_extms_support(self.pointer) == 1 else {
            return nil
        }
        return self.exportKeyingMaterial(label: "EXPORTER-Channel-Binding", context: [], length: 32)
    }

    /// Keying material that only the two ends can compute (RFC 5705, RFC 8446 §7.5); nil before the handshake's end.
    func exportKeyingMaterial(label: String, context: [UInt8], length: Int) -> [UInt8]? {
        guard SSL_is_init_finished(self.pointer) == 1 else { return nil }
        OpenSSLErrors.clear()
        var label = label
        let material = [UInt8](unsafeUninitializedCapacity: length) { material, count in
            let status = label.withUTF8 { label in
                SSL_export_keying_material(
                    self.pointer, material.baseAddress, length, label.baseAddress, label.count, context,
                    context.count, 1)
            }
            count = status == 1 ? length : 0
        }
        OpenSSLErrors.clear()
        return material.count == length ? material : nil
    }
}

extension OpenSSLErrors {
    /// OpenSSL numbers the reason "received alert N" as N plus this.
    private static let alertOffset = SSL_AD_REASON_OFFSET

    /// The words of a fatal alert that the peer sent, if that is what the errors are about.
    ///
    /// OpenSSL puts the version that brought an alert before it, `sslv3 alert bad certificate` or, since 3.2,
    /// `ssl/tls alert …`. That is not the version of the connection, and left out.
    fileprivate var receivedAlert: String? {
        let entry = self.entries.first {
            COpenSSL_ERR_GET_LIB($0.code) == ERR_LIB_SSL && COpenSSL_ERR_GET_REASON($0.code) >= Self.alertOffset
        }
        return entry?.text.split(separator: " ")
            .drop { $0.hasPrefix("ssl") || $0.hasPrefix("tlsv") || $0 == "alert" }
            .joined(separator: " ")
    }
}
