package import Basics

/// What one end demands of the other's certificate.
package enum PeerVerification: Hashable, Sendable {
    /// A valid chain to an authority in `file` (PEM; nil: the system's trust store), issued for `serverName`,
    /// which is a DNS name or an IP address literal.
    case certificateAuthorities(file: String?, serverName: String)
    /// Exactly the certificate with this fingerprint, whatever else it says.
    case fingerprint(CertificateFingerprint)
    /// Any certificate of the key with this hash, whatever else it says.
    case publicKey(PublicKeyPin)
    /// Any certificate. The caller must prove the peer in another way (the handshake's channel binding does).
    case insecure
    /// A server that asks for no client certificate.
    case notRequested
}

extension PeerVerification {
    /// Why a certificate is not acceptable; nil when it is.
    ///
    /// - Parameters:
    ///   - presented: the fingerprint of the peer's leaf; nil if it sent none.
    ///   - publicKey: asked for the hash of that leaf's key where it is pinned.
    ///   - byAuthorities: asked for the verdict of the library that makes the handshake where authorities decide.
    package func rejection(
        of presented: CertificateFingerprint?, publicKey: () -> PublicKeyPin?,
        byAuthorities: (_ serverName: String) -> CertificateRejection?
    ) -> CertificateRejection? {
        guard let presented else { return .missing }
        switch self {
        case .insecure, .notRequested:
            return nil
        case .fingerprint(let expected):
            return presented == expected ? nil : .fingerprintMismatch(expected: expected, received: presented)
        case .publicKey(let expected):
            let presented = publicKey()
            return presented == expected ? nil : .publicKeyMismatch(expected: expected, received: presented)
        case .certificateAuthorities(_, let serverName):
            return byAuthorities(serverName)
        }
    }
}
