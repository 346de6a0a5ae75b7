package import TLS

/// Why a connection came to its end.
package enum QUICCloseReason: Error, Hashable, Sendable {
    /// This end closed it with `close(code:reason:)`.
    case local(code: UInt64, reason: String)
    /// The peer's application closed it (CONNECTION_CLOSE of type 0x1d, RFC 9000 §19.19).
    case peer(code: UInt64, reason: String)
    /// The peer's QUIC implementation gave up (CONNECTION_CLOSE of type 0x1c, RFC 9000 §20.1).
    case peerTransport(code: UInt64, reason: String)
    /// The peer refused the TLS handshake with this alert (RFC 8446 §6.2).
    case peerAlert(code: UInt8, description: String)
    /// This end refused the peer's certificate; says what is wrong with it.
    case untrusted(CertificateRejection)
    /// This end refused the TLS handshake for another reason than the certificate.
    case handshakeFailed(String)
    /// The peer broke the protocol, or the library failed; `code` is the transport error sent to the peer
    /// (RFC 9000 §20.1).
    case transport(code: UInt64, detail: String)
    /// The handshake did not finish in time.
    case handshakeTimedOut
    /// Nothing was heard from the peer during the idle timeout.
    case idleTimedOut
    /// The peer has no state of this connection any more: it was restarted (RFC 9000 §10.3).
    case statelessReset
    /// The peer speaks none of our QUIC versions (RFC 9000 §6).
    case versionNegotiationFailed
}

extension QUICCloseReason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .local(let code, let reason): "closed by this side, code \(code)\(Self.quoted(reason))"
        case .peer(let code, let reason): "closed by the peer, code \(code)\(Self.quoted(reason))"
        case .peerTransport(let code, let reason): "the peer reported transport error \(code)\(Self.quoted(reason))"
        case .peerAlert(let code, let description): "the peer refused the TLS handshake: \(description) (alert \(code))"
        case .untrusted(let detail): "the peer's certificate is not trusted: \(detail)"
        case .handshakeFailed(let detail): "the TLS handshake failed: \(detail)"
        case .transport(let code, let detail): "transport error \(code): \(detail)"
        case .handshakeTimedOut: "the handshake timed out"
        case .idleTimedOut: "nothing heard from the peer: idle timeout"
        case .statelessReset: "the peer has lost the state of the connection (stateless reset)"
        case .versionNegotiationFailed: "the peer speaks no QUIC version in common"
        }
    }

    private static func quoted(_ reason: String) -> String {
        reason.isEmpty ? "" : ": \(reason)"
    }
}
