package import NIOCore
import NIOPosix

/// Loads what is in files anew when they change, or when asked to. Belongs to one event loop, which never waits for
/// the disk.
package final class FileReloader<Loaded: Sendable> {
    /// What is watched.
    package struct Source: Sendable {
        package let paths: [String]
        /// How often the files are looked at.
        package let interval: TimeAmount
        /// A version seen once is loaded when it is still the same after this long: files are seldom written at once.
        package let settling: TimeAmount
        package let load: @Sendable () throws -> Loaded

        package init(
            paths: [String], interval: TimeAmount, settling: TimeAmount, load: @escaping @Sendable () throws -> Loaded
        ) {
            self.paths = paths
            self.interval = interval
            self.settling = settling
            self.load = load
        }

        var stamp: FileStamp? { FileStamp(of: self.paths) }
    }

    private let source: Source
    private let eventLoop: any EventLoop
    private let install: (Result<Loaded, any Error>) -> Void
    /// The version that was loaded, or tried, last; nil: a file was missing.
    private var settled: FileStamp?
    /// One that has been seen once; `.some(nil)`: a file is missing.
    private var candidate: FileStamp??
    private var timer: Scheduled<Void>?
    private var isStopped = false
    /// The loading that is under way, and the one after it that has been asked for.
    private var running: EventLoopFuture<Void>?
    private var next: EventLoopPromise<Void>?

    /// - Parameters:
    ///   - stamp: of the files, from before that was read which is in use now: what has changed since then is loaded soon.
    ///   - install: puts what was loaded into effect, or says why it was not.
    package init(
        _ source: Source, loaded stamp: FileStamp?, eventLoop: any EventLoop,
        install: @escaping (Result<Loaded, any Error>) -> Void
    ) {
        self.source = source
        self.eventLoop = eventLoop
        self.install = install
        self.settled = stamp
    }

    /// Starts to watch.
    package func start() { self.look(in: self.source.interval) }

    /// Nothing is looked at or installed any more.
    package func stop() {
        self.timer?.cancel()
        self.timer = nil
        self.isStopped = true
    }

    private func look(in wait: TimeAmount) {
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: wait) { self.look() }
    }

    private func look() {
        self.onThread {
            $0.stamp
        } completion: { stamp in
            var wait = self.source.interval
            if case .success(let stamp) = stamp, stamp != self.settled, self.running == nil {
                if let candidate = self.candidate, candidate == stamp {
                    self.reload()
                } else {
                    self.candidate = .some(stamp)
                    wait = self.source.settling
                }
            }
            if !self.isStopped { self.look(in: wait) }
        }
    }

    /// Loads the files; the future succeeds when that is done. When they cannot be used, what was before stays.
    @discardableResult
    package func reload() -> EventLoopFuture<Void> {
        // One after the other, so that the latest wins; whoever asks meanwhile waits for the next one.
        if let running = self.running {
            let next = self.next ?? self.eventLoop.makePromise()
            if self.next == nil {
                self.next = next
                running.assumeIsolated().whenComplete { _ in
                    self.next = nil
                    self.reload().cascade(to: next)
                }
            }
            return next.futureResult
        }
        let done = self.eventLoop.makePromise(of: Void.self)
        self.running = done.futureResult
        self.onThread { source in
            (stamp: source.stamp, loaded: Result { try source.load() })
        } completion: { result in
            switch result {
            case .success(let (stamp, loaded)):
                self.settled = stamp
                if !self.isStopped { self.install(loaded) }
            case .failure(let error):
                self.install(.failure(error))
            }
            self.running = nil
            done.succeed()
        }
        return done.futureResult
    }

    /// The files are somewhere that may take its time.
    private func onThread<Value: Sendable>(
        _ body: @escaping @Sendable (Source) throws -> Value,
        completion: @escaping (Result<Value, any Error>) -> Void
    ) {
        let source = self.source
        NIOThreadPool.singleton.runIfActive(eventLoop: self.eventLoop) { try body(source) }
            .assumeIsolated().whenComplete(completion)
    }
}

@available(*, unavailable)
extension FileReloader: Sendable {}
