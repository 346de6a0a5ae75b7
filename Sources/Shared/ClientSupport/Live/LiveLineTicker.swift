package import CommandSupport
package import NIOCore

/// Has the live line of a client written about once a second. Belongs to an event loop.
package final class LiveLineTicker {
    /// How often.
    private static let interval = TimeAmount.seconds(1)

    private let log: ProgramLog
    private let status: () -> EventLoopFuture<LiveStatus>
    private let eventLoop: any EventLoop
    private var meter: LiveMeter
    private var task: RepeatedTask?

    /// `status` says how the client is getting on, on the event loop.
    package init(log: ProgramLog, eventLoop: any EventLoop, status: @escaping () -> EventLoopFuture<LiveStatus>) {
        self.log = log
        self.eventLoop = eventLoop
        self.status = status
        self.meter = LiveMeter(isUnicode: log.output.terminal?.traits.isUnicode ?? false)
    }

    /// Begins, where there is a terminal that can show it. Without effect elsewhere.
    package func start() {
        guard self.log.output.canShowLiveLine else { return }
        let this = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.task = self.eventLoop.scheduleRepeatedTask(initialDelay: Self.interval, delay: Self.interval) { _ in
            this.value.tick()
        }
    }

    /// Ends, and wipes the line.
    package func stop() {
        self.task?.cancel()
        self.task = nil
        self.log.output.showLive(nil)
    }

    private func tick() {
        self.status().hop(to: self.eventLoop).assumeIsolated().whenSuccess { status in
            guard self.task != nil else { return }
            let text = self.meter.text(status, at: self.eventLoop.now)
            // The format may have been changed meanwhile.
            self.log.output.showLive(self.log.showsLiveLine ? text : nil)
        }
    }
}

@available(*, unavailable)
extension LiveLineTicker: Sendable {}
