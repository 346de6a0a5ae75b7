package import Basics
internal import COpenSSL
import Crypto

/// Who a process is: a P-256 key with its certificate. It proves itself with it to the server, and shows it to its peers.
package final class ProcessIdentity: Sendable {
    /// The same for TLS.
    package let identity: Identity
    /// The certificate, in DER.
    package let certificate: [UInt8]
    /// Whether it is kept in a file, and so outlives the process.
    package let isKept: Bool
    private let key: SigningKey

    /// What it is called.
    package var fingerprint: CertificateFingerprint { self.identity.leafFingerprint }

    /// Makes one that lives as long as the process. Throws a ``TLSError``.
    ///
    /// - Parameter commonName: of the certificate, for people who look at one.
    package convenience init(commonName: String) throws(TLSError) {
        let identity = try Identity.selfSigned(commonName: commonName)
        guard let parts = try KeyFileParts(pem: identity.certificateChainPEM + identity.privateKeyPEM) else {
            throw .operationFailed("read a key that it has made", OpenSSLErrors())
        }
        try self.init(parts, isKept: false)
    }

    init(_ parts: KeyFileParts, isKept: Bool) throws(TLSError) {
        self.identity = try Identity(chain: [parts.certificate], key: parts.key)
        self.certificate = try parts.certificate.der()
        self.isKept = isKept
        self.key = SigningKey(parts.key)
    }

    /// ECDSA with SHA-256 over `message`, in DER: at most 72 bytes.
    package func sign(_ message: [UInt8]) -> [UInt8] {
        self.key.sign(message)
    }
}

/// The key's private half.
///
/// `@unchecked Sendable`: OpenSSL's key is not changed after it was read, and may then be used on several threads at a time,
/// each with a context of its own.
private final class SigningKey: @unchecked Sendable {
    private let key: OpenSSLKey

    init(_ key: OpenSSLKey) {
        self.key = key
    }

    func sign(_ message: [UInt8]) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("no memory for a signature") }
        defer { EVP_MD_CTX_free(context) }
        var length = Int(EVP_PKEY_get_size(self.key.pointer))
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, self.key.pointer) == 1,
            EVP_DigestSign(context, &signature, &length, message, message.count) == 1
        else {
            preconditionFailure("libcrypto cannot sign with a key that it has read")
        }
        return Array(signature.prefix(length))
    }
}

/// A certificate and its private key, from one PEM text.
struct KeyFileParts {
    let certificate: OpenSSLCertificate
    let key: OpenSSLKey

    /// Nil when a part is missing, is not P-256, or they do not belong together. The order does not matter.
    init?(pem: [UInt8]) throws(TLSError) {
        OpenSSLErrors.clear()
        defer { OpenSSLErrors.clear() }
        guard let certificate = OpenSSLCertificate(nextIn: try OpenSSLMemory(pem)),
            let key = OpenSSLKey(unencryptedIn: try OpenSSLMemory(pem)),
            X509_check_private_key(certificate.pointer, key.pointer) == 1,
            (try? CertificateKey(ofDER: certificate.der())) != nil
        else { return nil }
        self.certificate = certificate
        self.key = key
    }
}
