import Basics
import DequeModule
import Logging
import NIOCore

/// Says in the log who gets its login wrong, for people and for programs such as fail2ban.
///
/// The first of each network is always told, further ones not more often than every few seconds, so that who guesses all day
/// does not fill the disk. Networks are remembered for an hour, a bounded number of them.
final class LoginFailures {
    private struct Source {
        var since: NIODeadline
        /// When the next may be told.
        var nextAllowed: NIODeadline
        var leftOut = 0
    }

    static let interval = TimeAmount.seconds(2)
    static let memory = TimeAmount.hours(1)
    static let limit = 4096

    private let eventLoop: any EventLoop
    private let logger: Logger
    private var sources: [SourceNetwork?: Source] = [:]
    /// In the order of their first failures; a network is here as often as it is in `sources`.
    private var arrivals: Deque<SourceNetwork?> = []

    init(eventLoop: any EventLoop, logger: Logger) {
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// A client has named a user, perhaps an empty one, and not its password. `method` is `socks5` or `http`.
    func failed(_ client: SocketAddress?, method: String, user: String) {
        let now = self.eventLoop.now
        self.forget(at: now)
        let network = client.map { SourceNetwork($0) }
        guard var source = self.sources[network] else {
            self.sources[network] = Source(since: now, nextAllowed: now + Self.interval)
            self.arrivals.append(network)
            return self.tell(client, method, user, leftOut: 0)
        }
        if now < source.nextAllowed {
            source.leftOut += 1
            self.sources[network] = source
            return
        }
        self.tell(client, method, user, leftOut: source.leftOut)
        source.leftOut = 0
        source.nextAllowed = now + Self.interval
        self.sources[network] = source
    }

    private func forget(at now: NIODeadline) {
        while let first = self.arrivals.first, let source = self.sources[first],
            now - source.since >= Self.memory || self.arrivals.count >= Self.limit
        {
            self.arrivals.removeFirst()
            self.sources[first] = nil
        }
    }

    private func tell(_ client: SocketAddress?, _ method: String, _ user: String, leftOut: Int) {
        var metadata: Logger.Metadata = [
            "event": "auth.failed", "client": "\(client?.ipAddress ?? "unix")", "method": "\(method)",
            "user": "\(user)",
        ]
        if leftOut > 0 { metadata["more"] = .stringConvertible(leftOut) }
        self.logger.info("login failed", metadata: metadata)
    }
}

@available(*, unavailable)
extension LoginFailures: Sendable {}
