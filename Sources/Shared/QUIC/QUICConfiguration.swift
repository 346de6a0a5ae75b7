package import NIOCore
package import TLS

/// What both ends of a QUIC connection are set up with: the stored variables are as many as there are things to choose.
///
/// Values that the peer has to know (idle timeout, stream limit, datagrams) travel as transport parameters
/// (RFC 9000 §18.2).
package struct QUICConfiguration: Sendable {
    /// The one ALPN protocol spoken (RFC 7301); a peer that does not offer it is refused with
    /// `no_application_protocol`. 1...255 bytes.
    package var applicationProtocol: String
    /// Certificate and key that this end shows; a server must have one, a client shows none when `nil`.
    package var identity: Identity?
    /// How the peer's certificate is judged. A server asks clients for a certificate only when this is `.fingerprint`.
    package var verification: PeerVerification
    /// A connection that has heard nothing for this long is gone (RFC 9000 §10.1); the smaller of both ends' values
    /// counts.
    package var maxIdleTimeout: TimeAmount = .seconds(30)
    /// After this long without traffic a PING keeps the connection and the mappings on its path alive; `nil`: never.
    package var keepAliveInterval: TimeAmount?
    /// How long the handshake may take.
    package var handshakeTimeout: TimeAmount = .seconds(10)
    /// How many bidirectional streams the peer may have open at once.
    package var maxConcurrentStreams: Int = 128
    /// Largest UDP payload ever sent, in bytes: 1200...1452 (IPv6 over an MTU of 1500). Path MTU discovery works up
    /// to it.
    package var maxUDPPayload: Int = 1452
    /// Whether the connection finds out by itself what the path carries (RFC 9000 §14.3). Otherwise packets have 1200 bytes
    /// at most until the owner says more by `QUICSession.maximumDatagramSize`.
    package var discoversPathMTU = true
    /// Whether the peer may migrate (RFC 9000 §9), which clients of older versions do when their path changes. This version
    /// says `QUICSession.pathChanged()` instead, which needs nothing of the peer.
    package var allowsMigration = false
    /// How this end decides how much it sends, and how fast.
    package var congestionControl = CongestionControl.bbr
    /// Whether DATAGRAM frames (RFC 9221) are accepted.
    package var datagrams: Bool = false
    /// Key that a server derives stateless reset tokens from (RFC 9000 §10.3.2): with the same key a restarted server
    /// can tell old peers at once that their connections are gone. `nil`: a random one per context.
    package var statelessResetKey: [UInt8]?
    /// Receive window of a new stream, in bytes; it grows up to `maxStreamWindow` for a consumer that keeps up.
    package var initialStreamWindow: Int = 256 << 10
    /// Largest receive window of one stream, in bytes.
    package var maxStreamWindow: Int = 8 << 20
    /// Bound of what all streams of one connection may hold unconsumed, in bytes.
    package var maxUnconsumedBytes: Int = 32 << 20

    /// What every path of QUIC carries, in bytes of UDP payload (RFC 9000 §14).
    package static let leastUDPPayload = 1200

    package init(applicationProtocol: String, identity: Identity?, verification: PeerVerification) {
        self.applicationProtocol = applicationProtocol
        self.identity = identity
        self.verification = verification
    }
}

extension QUICConfiguration {
    func validate(for role: QUICContext.Role) throws(QUICError) {
        guard 1...255 ~= self.applicationProtocol.utf8.count else {
            throw .configuration("the application protocol must have 1 to 255 bytes")
        }
        guard Self.leastUDPPayload...1452 ~= self.maxUDPPayload else {
            throw .configuration("the largest UDP payload must be 1200 to 1452 bytes, not \(self.maxUDPPayload)")
        }
        guard 0...Int(UInt32.max) ~= self.maxConcurrentStreams else {
            throw .configuration("the stream limit \(self.maxConcurrentStreams) is out of range")
        }
        guard self.initialStreamWindow > 0, self.initialStreamWindow <= self.maxStreamWindow,
            self.maxStreamWindow <= self.maxUnconsumedBytes, self.maxUnconsumedBytes <= 1 << 40
        else {
            throw .configuration("windows must grow: initial stream window, largest stream window, connection")
        }
        guard self.maxIdleTimeout > .zero, self.handshakeTimeout > .zero else {
            throw .configuration("timeouts must be positive")
        }
        switch (role, self.verification) {
        case (.server, .certificateAuthorities), (.server, .insecure):
            throw .configuration("a server checks client certificates by fingerprint or not at all")
        case (.client, .notRequested):
            throw .configuration("a client always gets a certificate: choose how to check it")
        default:
            break
        }
        guard role == .client || self.identity != nil else {
            throw .configuration("a server needs a certificate")
        }
    }
}
