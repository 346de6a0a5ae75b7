internal import CNgtcp2
import TLS

/// GnuTLS's credentials and algorithm priorities of one configuration.
///
/// `@unchecked Sendable`: both C objects are only read after `init`, which GnuTLS allows from several threads at once
/// (GnuTLS manual §6.1.3, "Thread safety").
final class GnuTLSCredentials: @unchecked Sendable {
    /// TLS 1.3 only, as RFC 9001 §4.2 demands; AES-128-GCM first because it is the fastest here; no middlebox
    /// compatibility mode, which RFC 9001 §8.4 forbids.
    private static let priorities =
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"
        + ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE"

    let certificates: gnutls_certificate_credentials_t
    let priority: gnutls_priority_t

    init(role: QUICContext.Role, configuration: QUICConfiguration) throws(QUICError) {
        var priority: gnutls_priority_t?
        var code = gnutls_priority_init(&priority, Self.priorities, nil)
        guard code == 0, let priority else {
            throw .library(operation: "gnutls_priority_init", message: gnutlsMessage(code))
        }
        var certificates: gnutls_certificate_credentials_t?
        code = gnutls_certificate_allocate_credentials(&certificates)
        guard code == 0, let certificates else {
            gnutls_priority_deinit(priority)
            throw .library(operation: "gnutls_certificate_allocate_credentials", message: gnutlsMessage(code))
        }
        self.priority = priority
        self.certificates = certificates
        if let identity = configuration.identity {
            try self.use(identity)
        }
        if case .certificateAuthorities(let file, _) = configuration.verification {
            if let file { try self.trust(file: file) } else { try self.trust(SystemTrustStore.find()) }
        }
    }

    deinit {
        gnutls_certificate_free_credentials(self.certificates)
        gnutls_priority_deinit(self.priority)
    }

    private func use(_ identity: Identity) throws(QUICError) {
        var chain = identity.certificateChainPEM
        var key = identity.privateKeyPEM
        let code = chain.withUnsafeMutableBufferPointer { chain in
            key.withUnsafeMutableBufferPointer { key in
                var chain = gnutls_datum_t(data: chain.baseAddress, size: UInt32(clamping: chain.count))
                var key = gnutls_datum_t(data: key.baseAddress, size: UInt32(clamping: key.count))
                return gnutls_certificate_set_x509_key_mem(self.certificates, &chain, &key, GNUTLS_X509_FMT_PEM)
            }
        }
        guard code >= 0 else { throw .credentials(gnutlsMessage(code)) }
    }

    private func trust(_ store: SystemTrustStore) throws(QUICError) {
        if let file = store.file { try self.trust(file: file) }
        for directory in store.directories {
            let code = gnutls_certificate_set_x509_trust_dir(self.certificates, directory, GNUTLS_X509_FMT_PEM)
            guard code >= 0 else { throw .credentials("\(directory): \(gnutlsMessage(code))") }
        }
        guard store.file == nil, store.directories.isEmpty else { return }
        let code = gnutls_certificate_set_x509_system_trust(self.certificates)
        guard code >= 0 else { throw .credentials("the system's trust store: \(gnutlsMessage(code))") }
    }

    private func trust(file: String) throws(QUICError) {
        let code = gnutls_certificate_set_x509_trust_file(self.certificates, file, GNUTLS_X509_FMT_PEM)
        guard code >= 0 else { throw .credentials("\(file): \(gnutlsMessage(code))") }
        guard code > 0 else { throw .credentials("\(file): holds no certificate") }
    }
}
