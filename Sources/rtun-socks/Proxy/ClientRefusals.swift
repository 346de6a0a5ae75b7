import Basics
import CommandSupport
import Logging
import NIOCore
import SOCKS

/// Tells of clients that are turned away during the handshake: the first of a kind at once, further ones in summaries.
final class ClientRefusals {
    /// The kinds. The raw values stand in logs.
    private enum Reason: String {
        case login
        case method
        case http
        case version
        case request
    }

    private let log: DropLog<Reason>

    init(eventLoop: any EventLoop, logger: Logger) {
        self.log = DropLog(eventLoop: eventLoop, logger: logger, message: "clients refused", event: "client.refused")
    }

    /// A client was turned away.
    func turnedAway(_ client: SocketAddress?, because violation: SOCKSViolation) {
        let reason: Reason =
            switch violation {
            case .wrongPassword: .login
            case .noAcceptableMethod: .method
            case .http: .http
            case .unknownVersion: .version
            case .unsupportedCommand, .unsupportedAddressType, .invalidTarget, .malformed: .request
            }
        self.log.dropped(reason, ["client": "\(client?.authority ?? "unknown")", "detail": "\(violation)"])
    }
}

@available(*, unavailable)
extension ClientRefusals: Sendable {}
