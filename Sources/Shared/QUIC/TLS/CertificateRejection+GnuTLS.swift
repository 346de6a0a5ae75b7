internal import CNgtcp2
import TLS

extension CertificateRejection {
    /// GnuTLS's verdict on the certificate that the peer of `session` showed: on its chain, its dates and the name, which
    /// is a DNS name or an IP address literal. Nil when it is acceptable.
    init?(session: gnutls_session_t, serverName: String) {
        var status: UInt32 = 0
        let code = gnutls_certificate_verify_peers3(session, serverName, &status)
        guard code == 0 else {
            self.init(kind: .other(code: Int(code)), description: gnutlsMessage(code))
            return
        }
        guard status != 0 else { return nil }
        let kind = Self.kind(of: status, serverName: serverName)
        self.init(kind: kind, description: kind.words ?? Self.describe(status) ?? "certificate status \(status)")
    }

    private static func kind(of status: UInt32, serverName: String) -> Kind {
        func has(_ flag: gnutls_certificate_status_t) -> Bool { status & flag.rawValue != 0 }
        if has(GNUTLS_CERT_SIGNER_NOT_FOUND) { return .untrustedIssuer }
        if has(GNUTLS_CERT_UNEXPECTED_OWNER) { return .nameMismatch(expected: serverName) }
        if has(GNUTLS_CERT_EXPIRED) { return .expired }
        if has(GNUTLS_CERT_NOT_ACTIVATED) { return .notYetValid }
        return .other(code: Int(status))
    }

    /// GnuTLS's sentence, such as "The certificate is NOT trusted. The certificate issuer is unknown."
    private static func describe(_ status: UInt32) -> String? {
        var text = gnutls_datum_t()
        guard gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0 else { return nil }
        defer { CNgtcp2_gnutls_free(text.data) }
        var sentence = String(decoding: UnsafeBufferPointer(start: text.data, count: Int(text.size)), as: UTF8.self)
        while let last = sentence.last, last == " " || last == "\0" || last == "." { sentence.removeLast() }
        return sentence
    }
}
