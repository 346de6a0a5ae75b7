internal import COpenSSL
import Crypto

/// Which end of a TLS or DTLS connection this is.
package enum TLSRole: Hashable, Sendable {
    /// Sends the ClientHello.
    case client
    /// Answers it.
    case server
}

/// Owns an `SSL_CTX`: what all connections of one kind have in common.
///
/// It is configured in the initializer and not changed afterwards; from then on OpenSSL only counts references to it,
/// atomically. That makes it safe to share between threads.
final class OpenSSLContext: Sendable {
    /// What to configure.
    struct Configuration {
        var role: TLSRole
        var verification: PeerVerification
        var identity: Identity?
        /// ALPN names, most wanted first; none: no ALPN.
        var applicationProtocols: [String] = []
        /// The lowest and the highest version, such as `TLS1_2_VERSION`; 0: the highest there is.
        var versions: (minimum: Int32, maximum: Int32)
        /// The cipher suites of TLS and DTLS 1.2, in OpenSSL's notation. Those of TLS 1.3 are all good.
        var cipherSuites: String
        /// Whether a connection gives back its record buffers when they are empty: less memory for the idle, and an
        /// allocation more for each record of the busy.
        var releasesBuffers: Bool
    }

    nonisolated(unsafe) let pointer: OpaquePointer
    let role: TLSRole
    let verification: PeerVerification
    /// The ALPN list as on the wire: names preceded by their lengths. At a fixed address, because OpenSSL keeps
    /// pointing into it for a moment after the callback that chooses from it.
    private nonisolated(unsafe) let protocols: UnsafeMutableBufferPointer<UInt8>

    /// - Parameter method: `TLS_method()` or `DTLS_method()`.
    init(method: OpaquePointer?, _ configuration: Configuration) throws(TLSError) {
        OpenSSLErrors.clear()
        guard let pointer = SSL_CTX_new(method) else {
            throw .operationFailed("make a TLS context", OpenSSLErrors.drain())
        }
        let wire = configuration.applicationProtocols.flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8) }
        self.pointer = pointer
        self.role = configuration.role
        self.verification = configuration.verification
        self.protocols = .allocate(capacity: wire.count)
        _ = self.protocols.initialize(from: wire)

        try self.setProtocolOptions(configuration)
        try self.setApplicationProtocols()
        if let identity = configuration.identity {
            try self.use(identity)
        }
        try self.setVerification()
    }

    deinit {
        SSL_CTX_free(self.pointer)
        self.protocols.deallocate()
    }

    private func setProtocolOptions(_ configuration: Configuration) throws(TLSError) {
        try check(
            COpenSSL_SSL_CTX_set_min_proto_version(self.pointer, configuration.versions.minimum) == 1
                && COpenSSL_SSL_CTX_set_max_proto_version(self.pointer, configuration.versions.maximum) == 1
                && SSL_CTX_set_cipher_list(self.pointer, configuration.cipherSuites) == 1,
            "set TLS versions and cipher suites")
        // Every connection proves itself anew: no resumption, and so no state about peers that could outlive them.
        COpenSSL_SSL_CTX_set_session_cache_mode(self.pointer, Int(SSL_SESS_CACHE_OFF))
        SSL_CTX_set_num_tickets(self.pointer, 0)
        SSL_CTX_set_options(
            self.pointer,
            COpenSSL_SSL_OP_NO_TICKET | COpenSSL_SSL_OP_NO_RENEGOTIATION | COpenSSL_SSL_OP_NO_COMPRESSION
                | COpenSSL_SSL_OP_NO_QUERY_MTU)
        if configuration.releasesBuffers {
            COpenSSL_SSL_CTX_set_mode(self.pointer, Int(SSL_MODE_RELEASE_BUFFERS))
        }
    }

    private func setApplicationProtocols() throws(TLSError) {
        guard !self.protocols.isEmpty else { return }
        switch self.role {
        case .client:
            // Unlike most of OpenSSL, this one returns 0 for success.
            try check(
                SSL_CTX_set_alpn_protos(self.pointer, self.protocols.baseAddress, UInt32(self.protocols.count)) == 0,
                "offer application protocols")
        case .server:
            // The context is alive whenever a connection of it is.
            SSL_CTX_set_alpn_select_cb(
                self.pointer,
                { _, chosen, chosenLength, offered, offeredLength, context in
                    guard let chosen, let context else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                    let ours = Unmanaged<OpenSSLContext>.fromOpaque(context).takeUnretainedValue().protocols
                    var selected: UnsafeMutablePointer<UInt8>?
                    let outcome = SSL_select_next_proto(
                        &selected, chosenLength, ours.baseAddress, UInt32(ours.count), offered, offeredLength)
                    chosen.pointee = UnsafePointer(selected)
                    // RFC 7301 §3.2: no common protocol is answered with no_application_protocol.
                    return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL
                }, Unmanaged.passUnretained(self).toOpaque())
        }
    }

    private func use(_ identity: Identity) throws(TLSError) {
        let chain = try OpenSSLMemory(identity.certificateChainPEM)
        let keyMemory = try OpenSSLMemory(identity.privateKeyPEM)
        guard let leaf = OpenSSLCertificate(nextIn: chain),
            let keyPointer = PEM_read_bio_PrivateKey(keyMemory.pointer, nil, nil, nil)
        else {
            throw .operationFailed("read an identity", OpenSSLErrors.drain())
        }
        let key = OpenSSLKey(takingOwnership: keyPointer)
        try check(
            SSL_CTX_use_certificate(self.pointer, leaf.pointer) == 1
                && SSL_CTX_use_PrivateKey(self.pointer, key.pointer) == 1,
            "use the certificate and its key")
        while let issuer = OpenSSLCertificate(nextIn: chain) {
            try check(
                COpenSSL_SSL_CTX_add1_chain_cert(self.pointer, issuer.pointer) == 1, "use the certificate chain")
        }
        // Reading past the last block leaves "no start line" behind.
        OpenSSLErrors.clear()
    }

    private func setVerification() throws(TLSError) {
        PeerCertificateCheck.install(in: self.pointer)
        switch self.verification {
        case .notRequested:
            precondition(self.role == .server, "a client always receives a certificate: say .insecure to accept any")
            SSL_CTX_set_verify(self.pointer, SSL_VERIFY_NONE, nil)
            return
        case .certificateAuthorities(let file?, _):
            try self.trust(file: file)
            // Whoever names a certificate trusts it, also when it is a server's own or an intermediate one.
            X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(self.pointer), UInt(X509_V_FLAG_PARTIAL_CHAIN))
        case .certificateAuthorities(nil, _):
            try self.trust(SystemTrustStore.find())
        case .fingerprint, .publicKey, .insecure:
            break
        }
        SSL_CTX_set_verify(self.pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
    }
}

extension OpenSSLContext {
    private func trust(_ store: SystemTrustStore) throws(TLSError) {
        // From a directory OpenSSL takes the one file that it needs when it needs it; a bundle costs all of them at once.
        let isAtHome = X509_get_default_cert_dir().map { SystemTrustStore.isHashed(String(cString: $0)) } ?? false
        if store.isChosen || !isAtHome, store.file != nil || !store.directories.isEmpty {
            if let file = store.file { try self.trust(file: file) }
            for directory in store.directories {
                guard SSL_CTX_load_verify_dir(self.pointer, directory) == 1 else {
                    throw .noSystemTrustStore(OpenSSLErrors.drain())
                }
            }
        } else {
            guard SSL_CTX_set_default_verify_paths(self.pointer) == 1 else {
                throw .noSystemTrustStore(OpenSSLErrors.drain())
            }
        }
    }

    private func trust(file: String) throws(TLSError) {
        // Tell a file that cannot be read from one that holds no certificate: people act differently on the two.
        _ = try Identity.contents(of: file)
        OpenSSLErrors.clear()
        guard SSL_CTX_load_verify_file(self.pointer, file) == 1 else {
            throw .noPEM(path: file, expected: "certificate", errors: OpenSSLErrors.drain())
        }
    }
}

/// Throws what OpenSSL says unless `condition` holds.
private func check(_ condition: Bool, _ operation: String) throws(TLSError) {
    guard condition else {
        throw .operationFailed(operation, OpenSSLErrors.drain())
    }
}
