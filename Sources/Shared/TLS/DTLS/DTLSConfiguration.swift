package import Basics
package import NIOCore

/// What a ``DTLSConnection`` is made of.
package struct DTLSConfiguration: Sendable {
    /// The smallest ``maximumDatagramSize``: what every IPv4 path carries (RFC 791: 576) without IP and UDP headers.
    package static let smallestDatagramSize = 548

    /// Which end this is: the client speaks first.
    package var role: TLSRole
    /// The certificate to present.
    package var identity: Identity
    /// The one certificate that the peer may present.
    package var peerFingerprint: CertificateFingerprint
    /// The largest datagram that the path carries, in bytes of UDP payload.
    package var maximumDatagramSize: Int
    /// How long to wait for an answer before the first retransmission in the handshake. Each further wait is twice as
    /// long, up to 60 s (RFC 6347 §4.2.4.1).
    ///
    /// The RFC says 1 s for a path that nobody has measured. After connectivity checks the path has been measured: a
    /// few round-trip times are enough. OpenSSL acts up to 15 ms early, so no less than 20 ms.
    package var initialTimeout: TimeAmount

    /// Makes a configuration; `maximumDatagramSize` is 1452 bytes, IPv6 over Ethernet, unless the path says otherwise.
    package init(
        role: TLSRole, identity: Identity, peerFingerprint: CertificateFingerprint, maximumDatagramSize: Int = 1452,
        initialTimeout: TimeAmount = .milliseconds(400)
    ) {
        self.role = role
        self.identity = identity
        self.peerFingerprint = peerFingerprint
        self.maximumDatagramSize = maximumDatagramSize
        self.initialTimeout = initialTimeout
    }
}
