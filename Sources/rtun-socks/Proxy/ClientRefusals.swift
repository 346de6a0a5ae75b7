import Basics
import CommandSupport
import HTTPProxy
import Logging
import NIOCore
import SOCKS

/// Tells of clients that are turned away before they are connected: the first of a kind at once, further ones in summaries.
final class ClientRefusals {
    /// The kinds. The raw values stand in logs.
    enum Reason: String, CaseIterable {
        case login
        case method
        case http
        case version
        case request
    }

    /// How many there were of each kind.
    private(set) var counts: [Reason: UInt64] = [:]
    private let log: DropLog<Reason>
    private let logins: LoginFailures

    init(eventLoop: any EventLoop, logger: Logger) {
        self.log = DropLog(eventLoop: eventLoop, logger: logger, message: "clients refused", event: "client.refused")
        self.logins = LoginFailures(eventLoop: eventLoop, logger: logger)
    }

    /// A client was turned away that speaks SOCKS, or nothing that is known.
    func turnedAway(_ client: SocketAddress?, because violation: SOCKSViolation) {
        let reason: Reason
        switch violation {
        case .wrongPassword(let user):
            reason = .login
            self.logins.failed(client, method: "socks5", user: user)
        case .noAcceptableMethod: reason = .method
        case .unknownVersion: reason = .version
        case .unsupportedCommand, .unsupportedAddressType, .invalidTarget, .malformed: reason = .request
        }
        self.tell(reason, client, "\(violation)")
    }

    /// A client was turned away that speaks HTTP.
    func turnedAway(_ client: SocketAddress?, because refusal: HTTPRefusal) {
        let reason: Reason
        switch refusal {
        case .wrongLogin(let user):
            reason = .login
            self.logins.failed(client, method: "http", user: user)
        case .notForProxy: reason = .http
        case .violation: reason = .request
        }
        self.tell(reason, client, "\(refusal)")
    }

    private func tell(_ reason: Reason, _ client: SocketAddress?, _ detail: String) {
        self.counts[reason, default: 0] += 1
        self.log.dropped(reason, ["client": "\(client?.authority ?? "unknown")", "detail": "\(detail)"])
    }
}

@available(*, unavailable)
extension ClientRefusals: Sendable {}
