import CommandSupport
import Logging
import NIOCore
import NIOPosix
import TLS

/// Loads the certificate anew when its files change, or when asked to. Belongs to the server's event loop, which never waits
/// for the disk.
final class CertificateReloader {
    /// How often the files are looked at.
    private static let interval = TimeAmount.seconds(2)

    private let files: CertificateFiles
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let install: (Identity) throws -> Void
    /// The version that was loaded, or tried, last.
    private var settled: CertificateFiles.Stamp?
    /// A version seen once. It is loaded when it is the same at the next look: the two files are seldom replaced at once.
    private var candidate: CertificateFiles.Stamp?
    private var timer: Scheduled<Void>?
    private var isStopped = false
    /// The loading that is under way, and the one after it that has been asked for.
    private var running: EventLoopFuture<Void>?
    private var next: EventLoopPromise<Void>?

    /// `install` makes the listeners use an identity.
    init(
        files: CertificateFiles, eventLoop: any EventLoop, logger: Logger, install: @escaping (Identity) throws -> Void
    ) {
        self.files = files
        self.eventLoop = eventLoop
        self.logger = logger
        self.install = install
        self.settled = files.stamp
    }

    /// Starts to watch.
    func start() {
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: Self.interval) {
            self.look()
        }
    }

    func stop() {
        self.timer?.cancel()
        self.timer = nil
        self.isStopped = true
    }

    private func look() {
        self.onThread {
            $0.stamp
        } completion: { stamp in
            if let stamp = try? stamp.get(), stamp != self.settled, self.running == nil {
                if stamp == self.candidate { self.reload() } else { self.candidate = stamp }
            }
            if !self.isStopped { self.start() }
        }
    }

    /// Loads the files; the future succeeds when that is done. When they cannot be used, the certificate of before stays.
    @discardableResult
    func reload() -> EventLoopFuture<Void> {
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
        self.onThread { files in
            (stamp: files.stamp, identity: Result { () throws(ProgramError) in try files.load() })
        } completion: { loaded in
            self.loaded(loaded)
            self.running = nil
            done.succeed()
        }
        return done.futureResult
    }

    private func loaded(
        _ loaded: Result<(stamp: CertificateFiles.Stamp?, identity: Result<Identity, ProgramError>), any Error>
    ) {
        do {
            let (stamp, result) = try loaded.get()
            self.settled = stamp
            let identity = try result.get()
            try self.install(identity)
            self.logger.info(
                "certificate reloaded",
                metadata: [
                    "event": "certificate.reloaded", "file": "\(self.files.certificate)",
                    "fingerprint": "\(identity.leafFingerprint)", "ends": "\(UnixTime.text(identity.leafEnd))",
                ])
        } catch {
            self.logger.error(
                "the certificate cannot be reloaded, the previous one stays in use: \(error)",
                metadata: ["event": "certificate.reload_failed", "error": "\(error)"])
        }
    }

    /// The files are somewhere that may take its time.
    private func onThread<Value: Sendable>(
        _ body: @escaping @Sendable (CertificateFiles) throws -> Value,
        completion: @escaping (Result<Value, any Error>) -> Void
    ) {
        let files = self.files
        NIOThreadPool.singleton.runIfActive(eventLoop: self.eventLoop) { try body(files) }
            .assumeIsolated().whenComplete(completion)
    }
}

@available(*, unavailable)
extension CertificateReloader: Sendable {}
