internal import CNgtcp2
import LibC
import TLS

/// Judges the certificate that a peer showed in its handshake.
struct PeerCertificateCheck {
    let verification: PeerVerification

    /// Why the certificate is not acceptable; nil when it is. `presented` is the fingerprint of the peer's leaf, nil
    /// if it sent none.
    func reject(session: gnutls_session_t, presented: CertificateFingerprint?) -> CertificateRejection? {
        guard let presented else {
            return CertificateRejection(kind: .missing, description: "the peer sent no certificate")
        }
        switch self.verification {
        case .insecure, .notRequested:
            return nil
        case .fingerprint(let expected):
            guard presented == expected else {
                return CertificateRejection(
                    kind: .fingerprintMismatch(expected: expected, received: presented),
                    description: "the certificate has fingerprint \(presented), expected \(expected)")
            }
            return nil
        case .certificateAuthorities(_, let serverName):
            return self.rejectByAuthorities(session: session, serverName: serverName)
        }
    }

    private func rejectByAuthorities(session: gnutls_session_t, serverName: String) -> CertificateRejection? {
        var status: UInt32 = 0
        // Checks the chain, the dates, and the name: a DNS name or an IP address literal.
        let code = gnutls_certificate_verify_peers3(session, serverName, &status)
        guard code == 0 else {
            return CertificateRejection(kind: .other(code: Int(code)), description: gnutlsMessage(code))
        }
        guard status != 0 else { return nil }
        let kind = Self.kind(of: status, serverName: serverName)
        return CertificateRejection(
            kind: kind, description: kind.words ?? Self.describe(status) ?? "certificate status \(status)")
    }

    private static func kind(of status: UInt32, serverName: String) -> CertificateRejection.Kind {
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

/// Whether `text` is an IPv4 or IPv6 address literal, without brackets.
func isAddressLiteral(_ text: String) -> Bool {
    var storage = in6_addr()
    return inet_pton(AF_INET, text, &storage) == 1 || inet_pton(AF_INET6, text, &storage) == 1
}
