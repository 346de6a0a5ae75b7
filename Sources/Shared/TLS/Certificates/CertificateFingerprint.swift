import Basics
import Crypto

/// The SHA-256 of a certificate's DER form: what peers pin each other by.
package struct CertificateFingerprint: Hashable, Sendable, CustomStringConvertible {
    /// Length of a fingerprint in bytes.
    package static let byteCount = 32

    /// The 32 bytes of the hash.
    package let bytes: [UInt8]

    /// Takes a hash that was received or stored; nil unless it is exactly 32 bytes long.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// The fingerprint of a certificate given in DER form.
    package init(ofDER certificate: [UInt8]) {
        self.bytes = SHA256.hash(certificate)
    }

    /// Upper-case hex pairs separated by colons, as `openssl x509 -fingerprint -sha256` prints them.
    package var description: String { Hex.text(self.bytes, separator: ":").uppercased() }
}
