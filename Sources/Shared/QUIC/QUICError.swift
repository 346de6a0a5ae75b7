/// Why a call on a session, a stream or an endpoint could not be carried out.
package enum QUICError: Error, Hashable, Sendable {
    /// The peer allows no further stream for now (RFC 9000 §4.6); try again when one has closed.
    case streamLimitReached
    /// The handshake is not far enough for what was asked.
    case handshakeIncomplete
    /// The connection is closed.
    case closed(QUICCloseReason)
    /// The certificate, key or trust store cannot be used; says what and why.
    case credentials(String)
    /// A value of the configuration is out of its range; says which.
    case configuration(String)
    /// GnuTLS or ngtcp2 refused a call that should not fail; `operation` names the call.
    case library(operation: String, message: String)
}

extension QUICError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .streamLimitReached: "the peer allows no more streams for now"
        case .handshakeIncomplete: "the QUIC handshake is not complete"
        case .closed(let reason): "the QUIC connection is closed: \(reason)"
        case .credentials(let detail): "cannot use the certificate for QUIC: \(detail)"
        case .configuration(let detail): "QUIC configuration: \(detail)"
        case .library(let operation, let message): "\(operation) failed: \(message)"
        }
    }
}
