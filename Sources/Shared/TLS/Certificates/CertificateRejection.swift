package import Basics

/// Why a peer's certificate was not accepted.
package struct CertificateRejection: Hashable, Sendable, CustomStringConvertible {
    /// The reasons that a caller may want to tell apart.
    package enum Kind: Hashable, Sendable {
        /// No path to a trusted authority: self-signed, or an unknown issuer. `--ca-cert` helps.
        case untrustedIssuer
        /// The certificate is for other names than the one asked for.
        case nameMismatch(expected: String)
        /// Outside its period of validity.
        case expired, notYetValid
        /// Another certificate than the pinned one.
        case fingerprintMismatch(expected: CertificateFingerprint, received: CertificateFingerprint?)
        /// The certificate of another key than the pinned one.
        case publicKeyMismatch(expected: PublicKeyPin, received: PublicKeyPin?)
        /// The peer sent none.
        case missing
        /// Anything else; `code` is OpenSSL's `X509_V_ERR_…`.
        case other(code: Int)

        /// In a few words that go behind "the certificate is not trusted"; nil where only the library can tell.
        package var words: String? {
            switch self {
            case .untrustedIssuer: "it is self-signed, or issued by an authority that is not known"
            case .nameMismatch(let expected): "it is not for the name \(expected)"
            case .expired: "it has expired"
            case .notYetValid: "it is not valid yet"
            case .fingerprintMismatch, .publicKeyMismatch, .missing, .other: nil
            }
        }
    }

    /// What kind of reason it is.
    package let kind: Kind
    /// The words for a person, such as `self-signed certificate`.
    package let description: String

    /// Makes a rejection from its kind and the words for a person.
    package init(kind: Kind, description: String) {
        self.kind = kind
        self.description = description
    }

    /// No certificate was sent though one was demanded.
    package static let missing = CertificateRejection(kind: .missing, description: "the peer sent no certificate")

    static func publicKeyMismatch(expected: PublicKeyPin, received: PublicKeyPin?) -> CertificateRejection {
        CertificateRejection(
            kind: .publicKeyMismatch(expected: expected, received: received),
            description: "its key is \(received.map { "\($0)" } ?? "unreadable"), the pinned one \(expected)")
    }

    static func fingerprintMismatch(
        expected: CertificateFingerprint, received: CertificateFingerprint
    ) -> CertificateRejection {
        CertificateRejection(
            kind: .fingerprintMismatch(expected: expected, received: received),
            description: "its fingerprint is \(received), the one announced \(expected)")
    }
}
