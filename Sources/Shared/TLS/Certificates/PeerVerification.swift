/// What one end demands of the other's certificate.
package enum PeerVerification: Hashable, Sendable {
    /// A valid chain to an authority in `file` (PEM; nil: the system's trust store), issued for `serverName`,
    /// which is a DNS name or an IP address literal.
    case certificateAuthorities(file: String?, serverName: String)
    /// Exactly the certificate with this fingerprint, whatever else it says.
    case fingerprint(CertificateFingerprint)
    /// Any certificate. The caller must prove the peer in another way (the handshake's channel binding does).
    case insecure
    /// A server that asks for no client certificate.
    case notRequested
}
