import Basics
import DequeModule
import Logging
import NIOCore

/// Says in the log who gets its login wrong, for people and for programs such as fail2ban.
///
/// A few failures of each network are told at once, and so is the first of each in any case while not too many networks fail
/// at the same time; further ones are counted and told with the next line. So who guesses all day does not fill the disk.
/// A bounded number of networks is remembered, for an hour each.
final class LoginFailures {
    private struct Source {
        let since: NIODeadline
        var lines = LineAllowance(burst: 10, interval: .seconds(2))
        var leftOut = 0
    }

    static let memory = TimeAmount.hours(1)
    static let limit = 4096

    private let eventLoop: any EventLoop
    private let logger: Logger
    private var lines = LineAllowance(burst: 200, interval: .milliseconds(50))
    private var sources: [SourceNetwork?: Source] = [:]
    /// In the order of their first failures.
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
        if self.sources[network] == nil { self.arrivals.append(network) }
        var source = self.sources[network] ?? Source(since: now)
        if source.lines.take(at: now), self.lines.take(at: now) {
            self.tell(client, method, user, leftOut: source.leftOut)
            source.leftOut = 0
        } else {
            source.leftOut += 1
        }
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
        if leftOut > 0 { metadata["left_out"] = .stringConvertible(leftOut) }
        self.logger.info("login failed", metadata: metadata)
    }
}

@available(*, unavailable)
extension LoginFailures: Sendable {}

/// So many lines at once, and one each interval.
private struct LineAllowance {
    let burst: Int
    let interval: TimeAmount
    private var left: Int
    /// Since when the next one is being waited for.
    private var since: NIODeadline?

    init(burst: Int, interval: TimeAmount) {
        self.burst = burst
        self.interval = interval
        self.left = burst
    }

    mutating func take(at now: NIODeadline) -> Bool {
        if let since = self.since {
            let earned = (now - since).nanoseconds / self.interval.nanoseconds
            self.left = min(self.burst, self.left + Int(min(earned, Int64(self.burst))))
            self.since = self.left == self.burst ? nil : since + self.interval * earned
        }
        guard self.left > 0 else { return false }
        self.left -= 1
        if self.since == nil { self.since = now }
        return true
    }
}
