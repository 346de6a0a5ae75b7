import CommandSupport
import Logging
import NIOCore
import TLS

/// Loads the certificate anew when its files change, or when asked to. Belongs to the server's event loop.
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
            self.start()
        }
    }

    func stop() {
        self.timer?.cancel()
        self.timer = nil
    }

    private func look() {
        guard let stamp = self.files.stamp, stamp != self.settled else { return }
        guard stamp == self.candidate else {
            self.candidate = stamp
            return
        }
        self.reload()
    }

    /// Loads the files now. When they cannot be used, the certificate of before stays.
    func reload() {
        self.settled = self.files.stamp
        do {
            let identity = try self.files.load()
            try self.install(identity)
            self.logger.info(
                "certificate reloaded",
                metadata: [
                    "event": "certificate.reloaded", "file": "\(self.files.certificate)",
                    "fingerprint": "\(identity.leafFingerprint)",
                ])
        } catch {
            self.logger.error(
                "the certificate cannot be reloaded, the one before stays in use",
                metadata: ["event": "certificate.reload_failed", "error": "\(error)"])
        }
    }
}

@available(*, unavailable)
extension CertificateReloader: Sendable {}
