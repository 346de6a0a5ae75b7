package import AppProto

/// Why a handshake failed.
package enum HandshakeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The other side ended it and said why.
    case refused(Goodbye)
    /// The other side's MAC is wrong: it does not know the secret, or someone sits between.
    case proofFailed
    /// The secret is right, but the key that the other side names is none that can be taken, or not its own; says which.
    case keyRefused(String)
    /// The other side has proved a secret that is for the other role.
    case secretOfOtherRole
    /// No protocol version in common; `offered` is the other side's.
    case versionMismatch(offered: [UInt32])
    /// The connection cannot be bound as the rules demand; says what is missing.
    case bindingUnavailable(String)
    /// What arrived breaks the protocol; says what.
    case protocolViolation(String)
    /// The time limit is over.
    case timedOut

    /// Whether another secret might help.
    var concernsSecret: Bool {
        switch self {
        case .refused(let goodbye): goodbye.code == .auth
        case .proofFailed: true
        default: false
        }
    }

    package var description: String {
        switch self {
        case .refused(let goodbye):
            goodbye.reason.isEmpty ? "refused: \(goodbye.code)" : "refused: \(goodbye.code): \(goodbye.reason)"
        case .proofFailed:
            "the other side does not know the same secret, or there is a man in the middle"
        case .keyRefused(let detail):
            detail
        case .secretOfOtherRole:
            "the other side has a secret that is for the other role"
        case .versionMismatch(let offered):
            "no common protocol version: this side speaks \(Handshake.version), the other "
                + offered.prefix(8).map(String.init).joined(separator: ", ")
        case .bindingUnavailable(let detail):
            detail
        case .protocolViolation(let detail):
            "the other side broke the protocol: \(detail)"
        case .timedOut:
            "the handshake took longer than \(Handshake.timeLimit.nanoseconds / 1_000_000_000) s"
        }
    }
}
