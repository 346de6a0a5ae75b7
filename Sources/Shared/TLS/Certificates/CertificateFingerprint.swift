package import Basics
import Crypto

extension CertificateFingerprint {
    /// The fingerprint of a certificate given in DER form.
    package init(ofDER certificate: [UInt8]) {
        guard let fingerprint = CertificateFingerprint(bytes: SHA256.hash(certificate)) else {
            preconditionFailure("a SHA-256 has as many bytes as a fingerprint")
        }
        self = fingerprint
    }
}
