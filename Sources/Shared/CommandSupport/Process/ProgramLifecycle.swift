package import Logging
package import NIOCore
import UnixSignals

/// Runs a program's main part until it ends by itself or the system asks it to stop.
package enum ProgramLifecycle {
    private enum Happening {
        case bodyEnded((any Error)?)
        case stopRequested(UnixSignal)
        case drained
        case drainLimitReached
    }

    /// How long what is open may go on after a request to stop: so long that there is time to say goodbye to peers and server
    /// within the limit of ``run(logger:drainLimit:endsOnHangup:hangup:report:drain:body:)``.
    package static let drainTime = TimeAmount.milliseconds(4500)

    /// Runs `body`; returns when it returns and throws what it throws.
    ///
    /// The first SIGTERM or SIGINT calls `drain`, which stops accepting and returns once what is under way has ended,
    /// or is cut off after `drainLimit`; then this returns. A second signal makes it return at once. SIGHUP calls
    /// `hangup` each time, SIGUSR1 `report`, unless `endsOnHangup` says that SIGHUP is one of the signals to stop, as when
    /// the terminal that shows the log is closed. What is still running when this returns ends with the process.
    package static func run(
        logger: Logger,
        drainLimit: Duration = .seconds(5),
        endsOnHangup: @escaping @Sendable () -> Bool,
        hangup: @escaping @Sendable () async -> Void = {},
        report: @escaping @Sendable () async -> Void = {},
        drain: @escaping @Sendable () async -> Void,
        body: @escaping @Sendable () async throws -> Void
    ) async throws {
        ConfigurationReload.announce(logger)
        let (happenings, happened) = AsyncStream.makeStream(of: Happening.self)
        // Trapped before the body starts, so that no signal finds the default handler once the program is ready.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup, .sigusr1)
        let listener = Task {
            for await signal in signals {
                switch signal {
                case .sighup where !endsOnHangup(): Task { await hangup() }
                case .sigusr1: Task { await report() }
                default: happened.yield(.stopRequested(signal))
                }
            }
        }
        defer { listener.cancel() }
        let main = Task {
            do {
                try await body()
                happened.yield(.bodyEnded(nil))
            } catch {
                happened.yield(.bodyEnded(error))
            }
        }
        defer { main.cancel() }

        var isStopping = false
        for await happening in happenings {
            switch happening {
            case .bodyEnded(let error):
                // While stopping the body may well end because its listener was closed; the drain goes on.
                if isStopping { continue }
                if let error { throw error }
                return
            case .stopRequested(let signal):
                // A terminal that is closed says so more than once.
                if isStopping, signal == .sighup { continue }
                if isStopping { return }
                isStopping = true
                logger.info("stopping", metadata: ["event": "program.stopping", "signal": "\(signal)"])
                ServiceManager.notify("STOPPING=1")
                Task {
                    await drain()
                    happened.yield(.drained)
                }
                Task {
                    try await Task.sleep(for: drainLimit)
                    happened.yield(.drainLimitReached)
                }
            case .drained:
                return
            case .drainLimitReached:
                logger.info("not waiting any longer for what is still open", metadata: ["event": "program.drain_limit"])
                return
            }
        }
    }
}

extension EventLoopFuture<Void> {
    /// Succeeds when this future is fulfilled, but after `time` at the latest.
    package func cut(after time: TimeAmount) -> EventLoopFuture<Void> {
        let first = self.eventLoop.makePromise(of: Void.self)
        // Only the first completion counts.
        let timer = self.eventLoop.scheduleTask(in: time) { first.succeed() }
        self.whenComplete { _ in
            timer.cancel()
            first.succeed()
        }
        return first.futureResult
    }
}
