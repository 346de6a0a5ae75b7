package import Crypto

/// What can go wrong in this module, with the evidence. Texts name files, never key material.
package enum TLSError: Error, Hashable, Sendable {
    /// A file could not be opened or read; `reason` is the operating system's words.
    case cannotReadFile(path: String, reason: String)
    /// A file holds no PEM block of the kind asked for (`certificate`, `private key`), or a damaged one.
    case noPEM(path: String, expected: String, errors: OpenSSLErrors)
    /// The private key in the file is protected by a pass phrase.
    case encryptedKey(path: String)
    /// The key is neither RSA nor elliptic-curve.
    case unsupportedKey(path: String)
    /// The private key does not belong to the first certificate of the certificate file.
    case keyDoesNotMatch(certificateFile: String, keyFile: String)
    /// The system's certificate store could not be loaded.
    case noSystemTrustStore(OpenSSLErrors)
    /// A call into OpenSSL failed that only fails for want of memory or because of wrong arguments.
    case operationFailed(String, OpenSSLErrors)
    /// The peer's certificate was refused.
    case certificateRejected(CertificateRejection)
    /// The handshake failed for another reason than our view of the peer's certificate.
    case handshakeFailed(OpenSSLErrors)
    /// The peer sent a fatal alert; the text is OpenSSL's, such as `unknown ca`.
    case alertReceived(String)
    /// The transport ended before the handshake did.
    case endedDuringHandshake
    /// A record could not be decrypted or parsed after the handshake.
    case protocolError(OpenSSLErrors)
    /// The transport ended without a close_notify: what was received may have been cut short.
    case truncated
    /// More than `limit` bytes were written before the handshake was complete.
    case backlogFull(limit: Int)
    /// A payload does not fit in one datagram of the path: `byteCount` bytes where at most `limit` do.
    case payloadTooLarge(byteCount: Int, limit: Int)
    /// Bytes were written after the connection was closed or had failed.
    case closed
}

extension TLSError: CustomStringConvertible {
    /// A sentence without a full stop that says what failed, on what, and where it helps what to try.
    package var description: String {
        switch self {
        case .cannotReadFile(let path, let reason):
            "cannot read \(path): \(reason)"
        case .noPEM(let path, let expected, let errors):
            "no usable \(expected) in \(path): a PEM file is expected (\(errors))"
        case .encryptedKey(let path):
            "the private key in \(path) is encrypted: decrypt it first, for example with `openssl pkey -in \(path)`"
        case .unsupportedKey(let path):
            "the private key in \(path) is neither RSA nor elliptic-curve"
        case .keyDoesNotMatch(let certificateFile, let keyFile):
            "the private key in \(keyFile) does not belong to the certificate in \(certificateFile)"
        case .noSystemTrustStore(let errors):
            "cannot load the system's trusted certificates: \(errors)"
        case .operationFailed(let operation, let errors):
            "OpenSSL cannot \(operation): \(errors)"
        case .certificateRejected(let rejection):
            "certificate is not trusted: \(rejection)"
        case .handshakeFailed(let errors):
            "TLS handshake failed: \(errors)"
        case .alertReceived(let alert):
            "the peer refused the TLS connection: \(alert)"
        case .endedDuringHandshake:
            "the connection ended during the TLS handshake"
        case .protocolError(let errors):
            "TLS connection failed: \(errors)"
        case .truncated:
            "the TLS connection ended without a close_notify"
        case .backlogFull(let limit):
            "more than \(limit) bytes are waiting for the TLS handshake"
        case .payloadTooLarge(let byteCount, let limit):
            "a payload of \(byteCount) bytes does not fit in a datagram, which has room for \(limit)"
        case .closed:
            "the TLS connection is closed"
        }
    }
}
