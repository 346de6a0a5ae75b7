internal import COpenSSL

/// Judges the certificate of one connection's peer, and remembers why it was refused.
///
/// OpenSSL calls back in the middle of a handshake, finds this object through the connection's `SSL`, and sends the
/// fitting alert when the answer is no.
final class PeerCertificateCheck {
    private let verification: PeerVerification
    /// Why the certificate was refused; nil while there is none or it was accepted.
    private(set) var rejection: CertificateRejection?

    init(_ verification: PeerVerification) {
        self.verification = verification
    }

    /// The slot of `SSL_set_app_data`.
    private static let slot: Int32 = 0

    /// Lets the callback find this object, which must live as long as `ssl`.
    func attach(to ssl: OpaquePointer) {
        SSL_set_ex_data(ssl, Self.slot, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Makes every connection of `context` ask its own check. Connections without one are refused.
    static func install(in context: OpaquePointer) {
        SSL_CTX_set_cert_verify_callback(
            context,
            { store, _ in
                guard let store,
                    let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
                    let check = SSL_get_ex_data(OpaquePointer(ssl), PeerCertificateCheck.slot)
                else { return 0 }
                let accepted = Unmanaged<PeerCertificateCheck>.fromOpaque(check).takeUnretainedValue().accepts(store)
                return accepted ? 1 : 0
            }, nil)
    }

    private func accepts(_ store: OpaquePointer) -> Bool {
        let certificate = X509_STORE_CTX_get0_cert(store)
        self.rejection = self.verification.rejection(
            of: certificate.flatMap(certificateFingerprint), publicKey: { certificate.flatMap(PublicKeyPin.init(of:)) }
        ) { name in
            guard X509_verify_cert(store) != 1, let certificate else { return nil }
            return CertificateRejection(
                code: X509_STORE_CTX_get_error(store), serverName: name, certificate: certificate)
        }
        switch self.rejection?.kind {
        case .fingerprintMismatch, .publicKeyMismatch:
            // Becomes a bad_certificate alert; the default would be internal_error.
            X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED)
        default:
            break
        }
        return self.rejection == nil
    }
}

extension CertificateRejection {
    /// Translates OpenSSL's verdict `code` (`X509_V_ERR_…`).
    init(code: Int32, serverName: String, certificate: OpaquePointer) {
        let words = String(cString: X509_verify_cert_error_string(Int(code)))
        switch code {
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            let names = Self.names(of: certificate)
            self.init(
                kind: .nameMismatch(expected: serverName),
                description: "it is issued for \(names), not for \(serverName)")
        case X509_V_ERR_CERT_HAS_EXPIRED:
            self.init(kind: .expired, description: words)
        case X509_V_ERR_CERT_NOT_YET_VALID:
            self.init(kind: .notYetValid, description: words)
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED:
            self.init(kind: .untrustedIssuer, description: words)
        default:
            self.init(kind: .other(code: Int(code)), description: words)
        }
    }

    /// The names a certificate is issued for, such as `DNS:example.org, IP Address:192.0.2.1`, for people to read.
    static func names(of certificate: OpaquePointer) -> String {
        let index = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1)
        guard index >= 0, let names = X509_get_ext(certificate, index), let text = try? OpenSSLMemory(),
            X509V3_EXT_print(text.pointer, names, 0, 0) == 1
        else { return "no name" }
        // The peer chose this text, and OpenSSL prints most of it as it is: keep it short and harmless to a terminal.
        let printable = text.contents.prefix(200).map { (0x20...0x7e).contains($0) ? $0 : UInt8(ascii: ".") }
        return String(decoding: printable, as: UTF8.self)
    }
}
