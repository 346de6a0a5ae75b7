import Basics
internal import CNgtcp2
import TLS

/// The TLS half of one connection: a GnuTLS session whose records are QUIC's CRYPTO frames (RFC 9001).
///
/// GnuTLS and the crypto helper of ngtcp2 hold a pointer to this object inside `reference`. It stays valid because
/// the session is freed in `deinit`, before `reference`, and because the owning `QUICConnection` frees its ngtcp2
/// object first.
final class QUICTLS {
    let handle: gnutls_session_t
    /// The ngtcp2 object that the crypto helper works on. Set by its owner right after it was made, before any TLS
    /// byte is exchanged.
    var connection: OpaquePointer?
    /// Why the peer's certificate was refused, if it was.
    private(set) var rejection: CertificateRejection?
    /// The certificate that the peer showed, once it was accepted.
    private(set) var peerFingerprint: CertificateFingerprint?

    private let context: QUICContext
    private let reference: UnsafeMutablePointer<ngtcp2_crypto_conn_ref>

    init(context: QUICContext) throws(QUICError) {
        let isServer = context.role == .server
        // No tickets: no resumption, and no 0-RTT, whose data could be replayed.
        let flags = UInt32(isServer ? GNUTLS_SERVER : GNUTLS_CLIENT) | UInt32(GNUTLS_NO_TICKETS.rawValue)
        var session: gnutls_session_t?
        let code = gnutls_init(&session, flags)
        guard code == 0, let session else {
            throw .library(operation: "gnutls_init", message: gnutlsMessage(code))
        }
        self.context = context
        self.handle = session
        self.reference = .allocate(capacity: 1)
        self.reference.initialize(to: ngtcp2_crypto_conn_ref())
        self.reference.pointee.user_data = Unmanaged.passUnretained(self).toOpaque()
        self.reference.pointee.get_conn = { reference in
            QUICTLS.from(reference)?.connection
        }
        gnutls_session_set_ptr(session, self.reference)
        try self.configure(isServer: isServer)
    }

    deinit {
        gnutls_deinit(self.handle)
        self.reference.deinitialize(count: 1)
        self.reference.deallocate()
    }

    /// Keying material of RFC 8446 §7.5 (the interface of RFC 5705); nil when the library refuses.
    func exportKeyingMaterial(label: String, context: [UInt8], length: Int) -> [UInt8]? {
        var label = Array(label.utf8CString)
        var succeeded = false
        let material = [UInt8](unsafeUninitializedCapacity: length) { output, count in
            let code = context.withUnsafeBufferPointer { context in
                output.withMemoryRebound(to: CChar.self) { output in
                    context.withMemoryRebound(to: CChar.self) { context in
                        gnutls_prf_rfc5705(
                            self.handle, label.count - 1, &label, context.count, context.baseAddress, length,
                            output.baseAddress)
                    }
                }
            }
            succeeded = code == 0
            count = succeeded ? length : 0
        }
        return succeeded ? material : nil
    }

    private func configure(isServer: Bool) throws(QUICError) {
        let configured =
            isServer
            ? ngtcp2_crypto_gnutls_configure_server_session(self.handle)
            : ngtcp2_crypto_gnutls_configure_client_session(self.handle)
        guard configured == 0 else {
            throw .library(operation: "ngtcp2_crypto_gnutls_configure_session", message: "out of memory")
        }
        try self.check("gnutls_priority_set", gnutls_priority_set(self.handle, self.context.credentials.priority))
        try self.check(
            "gnutls_credentials_set",
            gnutls_credentials_set(
                self.handle, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(self.context.credentials.certificates)))
        try self.configureApplicationProtocol(isServer: isServer)
        try self.configureVerification(isServer: isServer)
    }

    /// ALPN and transport parameters are not optional in QUIC (RFC 9001 §8.1 and 8.2). GnuTLS enforces the one, and ngtcp2
    /// reads the other, only where the peer has sent the extension; the hook refuses a peer that sent none. A client looks at
    /// the end: the hook for EncryptedExtensions would run before GnuTLS has parsed them.
    private func configureApplicationProtocol(isServer: Bool) throws(QUICError) {
        var name = Array(self.context.configuration.applicationProtocol.utf8)
        let code = name.withUnsafeMutableBufferPointer { name in
            var datum = gnutls_datum_t(data: name.baseAddress, size: UInt32(clamping: name.count))
            return gnutls_alpn_set_protocols(self.handle, &datum, 1, GNUTLS_ALPN_MANDATORY.rawValue)
        }
        try self.check("gnutls_alpn_set_protocols", code)
        let message = isServer ? GNUTLS_HANDSHAKE_CLIENT_HELLO : GNUTLS_HANDSHAKE_FINISHED
        gnutls_handshake_set_hook_function(self.handle, message.rawValue, GNUTLS_HOOK_POST) { session, _, _, _, _ in
            var selected = gnutls_datum_t()
            guard gnutls_alpn_get_selected_protocol(session, &selected) == 0, selected.size > 0 else {
                return GNUTLS_E_NO_APPLICATION_PROTOCOL
            }
            guard let connection = QUICTLS.of(session)?.connection,
                ngtcp2_conn_get_remote_transport_params(connection) != nil
            else { return GNUTLS_E_MISSING_EXTENSION }
            return 0
        }
    }

    private func configureVerification(isServer: Bool) throws(QUICError) {
        switch self.context.configuration.verification {
        case .notRequested:
            return
        case .fingerprint where isServer:
            gnutls_certificate_server_set_request(self.handle, GNUTLS_CERT_REQUIRE)
        case .certificateAuthorities(_, let serverName) where IPAddress(parsing: serverName) == nil:
            // RFC 6066 §3: only DNS names are sent, never addresses.
            try self.check(
                "gnutls_server_name_set",
                gnutls_server_name_set(self.handle, GNUTLS_NAME_DNS, serverName, serverName.utf8.count))
        case .certificateAuthorities, .fingerprint, .publicKey, .insecure:
            break
        }
        gnutls_session_set_verify_function(self.handle) { session in
            guard let tls = QUICTLS.of(session) else { return GNUTLS_E_INTERNAL_ERROR }
            return tls.verifyPeer() ? 0 : GNUTLS_E_CERTIFICATE_ERROR
        }
    }

    /// Runs inside the handshake, when the peer's certificate has arrived.
    private func verifyPeer() -> Bool {
        let certificate = self.presentedCertificate()
        let presented = certificate.map(CertificateFingerprint.init(ofDER:))
        self.rejection = self.context.configuration.verification.rejection(
            of: presented, publicKey: { certificate.flatMap(PublicKeyPin.init(ofCertificateDER:)) }
        ) { name in
            CertificateRejection(session: self.handle, serverName: name)
        }
        self.peerFingerprint = self.rejection == nil ? presented : nil
        return self.rejection == nil
    }

    /// The peer's leaf in DER form; nil when it has sent none.
    private func presentedCertificate() -> [UInt8]? {
        var count: UInt32 = 0
        guard let leaf = gnutls_certificate_get_peers(self.handle, &count), count > 0 else { return nil }
        return Array(UnsafeBufferPointer(start: leaf.pointee.data, count: Int(leaf.pointee.size)))
    }

    private func check(_ operation: String, _ code: Int32) throws(QUICError) {
        guard code == 0 else { throw .library(operation: operation, message: gnutlsMessage(code)) }
    }

    /// The object that a GnuTLS session belongs to.
    private static func of(_ session: gnutls_session_t?) -> QUICTLS? {
        self.from(gnutls_session_get_ptr(session)?.assumingMemoryBound(to: ngtcp2_crypto_conn_ref.self))
    }

    private static func from(_ reference: UnsafeMutablePointer<ngtcp2_crypto_conn_ref>?) -> QUICTLS? {
        guard let pointer = reference?.pointee.user_data else { return nil }
        return Unmanaged<QUICTLS>.fromOpaque(pointer).takeUnretainedValue()
    }
}
