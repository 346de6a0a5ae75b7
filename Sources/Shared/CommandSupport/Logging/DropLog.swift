package import Logging
package import NIOCore

/// Tells of what is lost, such as datagrams: the first of a kind at once, further ones in a summary every 10 s. Belongs to an
/// event loop.
package final class DropLog<Reason: RawRepresentable & Hashable> where Reason.RawValue == String {
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let level: Logger.Level
    private let message: Logger.Message
    private let event: String
    private var limiters: [Reason: LogRateLimiter] = [:]
    private var timer: Scheduled<Void>?

    /// Writes to `logger`, whose metadata says where the datagrams were dropped, or whatever `message` and `event` say, at `level`.
    package init(
        eventLoop: any EventLoop, logger: Logger, level: Logger.Level = .warning,
        message: Logger.Message = "datagrams dropped",
        event: String = "udp.dropped"
    ) {
        self.eventLoop = eventLoop
        self.logger = logger
        self.level = level
        self.message = message
        self.event = event
    }

    deinit {
        self.timer?.cancel()
    }

    /// One was lost. `details`: what is worth knowing of it, beyond the reason.
    package func dropped(_ reason: Reason, _ details: @autoclosure () -> Logger.Metadata = [:]) {
        if let count = self.limiters[reason, default: LogRateLimiter()].occurrences(at: self.eventLoop.now) {
            self.write(reason, count, details())
        } else if self.timer == nil, let deadline = self.limiters[reason]?.nextSummary {
            self.arm(deadline)
        }
    }

    private func write(_ reason: Reason, _ count: Int, _ details: Logger.Metadata) {
        // The cause stands in the message, too, as people read it.
        let cause = String(reason.rawValue.map { $0 == "_" ? " " : $0 })
        self.logger.log(
            level: self.level, "\(self.message): \(cause)",
            metadata: details.merging(
                ["event": "\(self.event)", "reason": "\(reason.rawValue)", "count": .stringConvertible(count)]) { $1 })
    }

    private func arm(_ deadline: NIODeadline) {
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            self?.summarize()
        }
    }

    private func summarize() {
        self.timer = nil
        for reason in Array(self.limiters.keys) {
            guard let count = self.limiters[reason]?.summary(at: self.eventLoop.now) else { continue }
            self.write(reason, count, [:])
        }
        if let next = self.limiters.values.compactMap(\.nextSummary).min() { self.arm(next) }
    }
}

@available(*, unavailable)
extension DropLog: Sendable {}
