package import Basics
internal import COpenSSL
import Crypto

/// The public key of a certificate that somebody unknown has sent as his own: on the curve P-256, and nothing else.
///
/// The certificate is a container here. Whoever signs with the key is whom its fingerprint names; what else it says of itself
/// counts for nothing, and is not looked at. So OpenSSL gets to see no more than the 91 bytes of the key.
package struct CertificateKey {
    /// Why a certificate is not taken.
    package enum Rejection: Error, Hashable, Sendable, CustomStringConvertible {
        case tooLarge(byteCount: Int)
        /// It is no X.509 certificate in DER.
        case malformed
        /// Its key is of another kind, or of another curve.
        case notP256
        /// Its key is no point of the curve.
        case notOnCurve

        package var description: String {
            switch self {
            case .tooLarge(let byteCount):
                "the certificate has \(byteCount) bytes; at most \(CertificateKey.maximumCertificate) are taken"
            case .malformed: "the certificate cannot be read"
            case .notP256: "the certificate's key is not of the curve P-256"
            case .notOnCurve: "the certificate's key is not a point of its curve"
            }
        }
    }

    /// The longest certificate that is looked at, in bytes of DER. One with a P-256 key and a name has some 400.
    package static let maximumCertificate = 2048

    /// Of the certificate.
    package let fingerprint: CertificateFingerprint
    private let key: OpenSSLKey

    /// Takes the key out of `certificate`, which is DER.
    package init(ofDER certificate: [UInt8]) throws(Rejection) {
        guard certificate.count <= Self.maximumCertificate else { throw .tooLarge(byteCount: certificate.count) }
        guard let information = Self.keyInformation(of: certificate) else { throw .malformed }
        guard information.count == Self.keyHeader.count + Self.pointLength,
            information.starts(with: Self.keyHeader), information.dropFirst(Self.keyHeader.count).first == 4
        else { throw .notP256 }
        guard let key = OpenSSLKey(p256Point: information.suffix(Self.pointLength)) else { throw .notOnCurve }
        self.key = key
        self.fingerprint = CertificateFingerprint(ofDER: certificate)
    }

    /// Whether the owner of the key has signed `message`: ECDSA with SHA-256, `signature` in DER.
    package func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            // A signature that does not fit leaves something behind.
            OpenSSLErrors.clear()
        }
        return EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, self.key.pointer) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    /// What a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) of a P-256 key begins with (RFC 5480 §2.1.1): the sequence, the
    /// algorithm id-ecPublicKey with the named curve secp256r1, and a bit string of 65 bytes.
    private static let keyHeader: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ]
    /// 4 for "uncompressed", and two coordinates (RFC 5480 §2.2).
    private static let pointLength = 65

    private enum Tag {
        static let integer: UInt8 = 0x02
        static let bitString: UInt8 = 0x03
        static let sequence: UInt8 = 0x30
        static let version: UInt8 = 0xa0
    }

    /// The SubjectPublicKeyInfo of a certificate (RFC 5280 §4.1); nil when it is none.
    private static func keyInformation(of certificate: [UInt8]) -> [UInt8]? {
        var file = DERReader(certificate[...])
        guard let outer = file.next(tag: Tag.sequence), file.isAtEnd else { return nil }
        var parts = DERReader(outer.content)
        guard let signed = parts.next(tag: Tag.sequence), parts.next(tag: Tag.sequence) != nil,
            parts.next(tag: Tag.bitString) != nil, parts.isAtEnd
        else { return nil }
        var fields = DERReader(signed.content)
        if fields.nextTag == Tag.version, fields.next(tag: Tag.version) == nil { return nil }
        guard fields.next(tag: Tag.integer) != nil else { return nil }
        // Signature algorithm, issuer, validity, subject.
        for _ in 0..<4 where fields.next(tag: Tag.sequence) == nil { return nil }
        return fields.next(tag: Tag.sequence).map { Array($0.whole) }
    }
}

@available(*, unavailable)
extension CertificateKey: Sendable {}
