import Basics
internal import COpenSSL
import Crypto

/// The SHA-256 of a certificate's public key, in the DER form of its SubjectPublicKeyInfo (RFC 7469 §2.4): what a link pins
/// a server by. A certificate that is renewed for the same key keeps it.
package struct PublicKeyPin: Hashable, Sendable, CustomStringConvertible {
    /// Length of a pin in bytes.
    package static let byteCount = 32

    /// The 32 bytes of the hash.
    package let bytes: [UInt8]

    /// Takes a hash that was received or stored; nil unless it is exactly 32 bytes long.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// The pin of a certificate given in DER form; nil when that is none.
    package init?(ofCertificateDER bytes: [UInt8]) {
        let parsed = bytes.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            return d2i_X509(nil, &start, buffer.count)
        }
        guard let parsed else {
            OpenSSLErrors.clear()
            return nil
        }
        let certificate = OpenSSLCertificate(takingOwnership: parsed)
        guard let pin = withExtendedLifetime(certificate, { PublicKeyPin(of: certificate.pointer) }) else { return nil }
        self = pin
    }

    /// - Parameter certificate: an `X509` that the caller keeps alive.
    init?(of certificate: OpaquePointer) {
        guard let key = X509_get_X509_PUBKEY(certificate) else { return nil }
        let length = Int(i2d_X509_PUBKEY(key, nil))
        guard length > 0 else {
            OpenSSLErrors.clear()
            return nil
        }
        let encoded = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            var next = buffer.baseAddress
            count = Int(i2d_X509_PUBKEY(key, &next))
        }
        self.bytes = SHA256.hash(encoded)
    }

    /// As it stands in a link: 43 letters of base64url.
    package var description: String { Base64URL.text(self.bytes) }
}
