import AppProto
import Basics
import Logging
import NIOCore

/// Tells in the log how the control connection fares: that it is lost or cannot be had, at once and every five minutes, and
/// that it is there, with how long it was away.
struct ConnectionLog {
    private let logger: Logger
    private let server: ServerPlace
    private var trouble = Trouble<String>()
    private var hasConnected = false

    init(logger: Logger, server: ServerPlace) {
        self.logger = logger
        self.server = server
    }

    /// The connection is up.
    mutating func connected(_ session: SignalSession, at now: NIODeadline) {
        var metadata = self.metadata("signal.connected")
        metadata["remote"] = session.remoteAddress.map { "\($0.authority)" }
        var way = ""
        // A URL says it anyway.
        if case .link = self.server, let transport = session.transport {
            metadata["transport"] = "\(transport.rawValue)"
            way = " over \(transport.rawValue)"
        }
        metadata["instance"] = session.welcome.instanceID.map { "\($0)" }
        let away = self.trouble.ended(at: now)
        metadata["away_s"] = away.map { .stringConvertible($0.wholeSeconds) }
        let message = self.hasConnected ? "connected to the server again" : "connected to the server"
        self.hasConnected = true
        self.logger.info("\(message)\(way)\(away.map { " after \($0.words)" } ?? "")", metadata: metadata)
    }

    /// An attempt has failed; the next one follows after `wait`.
    mutating func attemptFailed(_ error: SignalConnectError, retryingIn wait: TimeAmount, at now: NIODeadline) {
        var metadata = self.metadata("signal.failed")
        metadata["retry_in_ms"] = .stringConvertible(wait.wholeMilliseconds)
        metadata["error"] = "\(error)"
        guard let news = self.trouble.occurred(error.cause, at: now) else {
            self.logger.debug("still no connection to the server", metadata: metadata)
            return
        }
        var length = ""
        if case .lasts(let away) = news {
            metadata["away_s"] = .stringConvertible(away.wholeSeconds)
            // Right after a loss it is no news.
            if away >= .seconds(10) { length = " for \(away.words)" }
        }
        metadata["advice"] = error.advice.map { "\($0)" }
        self.logger.warning("no connection to the server\(length): \(error.summary)", metadata: metadata)
    }

    /// The connection is lost; the next attempt follows after `wait`.
    mutating func lost(_ reason: SignalCloseReason, retryingIn wait: TimeAmount, at now: NIODeadline) {
        _ = self.trouble.occurred("lost", at: now)
        var metadata = self.metadata("signal.lost")
        metadata["reason"] = "\(reason)"
        metadata["retry_in_ms"] = .stringConvertible(wait <= .zero ? 0 : wait.wholeMilliseconds)
        self.logger.warning("lost the connection to the server: \(reason)", metadata: metadata)
    }

    /// Refused, and there is another secret to try.
    func rereadSecret() {
        self.logger.notice(
            "refused, but the secret in the file has changed: trying again", metadata: self.metadata("secret.reread"))
    }

    private func metadata(_ event: String) -> Logger.Metadata { ["event": "\(event)", "server": "\(self.server)"] }
}

extension SignalConnectError {
    /// The cause in a few words, which go behind "no connection to the server: ".
    fileprivate var summary: String {
        switch self {
        case .unreachable(let attempts):
            Set(attempts.map(\.reason)).sorted().joined(separator: ", ")
        case .timedOut(.connection):
            "it does not answer"
        case .unresolved, .timedOut, .untrusted, .secureChannel, .wrongScheme, .upgradeRefused, .notAServer,
            .disconnected, .turnedAway:
            "\(self)"
        }
    }
}

extension TimeAmount {
    /// Whole milliseconds, rounded up; nothing below 1.
    var wholeMilliseconds: UInt64 {
        UInt64(max(1, self.milliseconds.rounded(.up)))
    }
}
