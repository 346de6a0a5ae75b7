import Basics
import CommandSupport
import Logging
import NIOCore
import TLS

/// Says in the log when the certificate that is served has expired, or ends soon. Belongs to the server's event loop.
final class CertificateWatch {
    /// How often it is looked at, and how long after the end at most that is told.
    private static let interval = TimeAmount.minutes(10)

    let file: String
    /// Of the certificate that is served.
    private(set) var fingerprint: CertificateFingerprint
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var term: CertificateTerm
    private var task: RepeatedTask?

    init(file: String, identity: Identity, eventLoop: any EventLoop, logger: Logger) {
        self.file = file
        self.eventLoop = eventLoop
        self.logger = logger
        self.fingerprint = identity.leafFingerprint
        self.term = CertificateTerm(end: identity.leafEnd)
    }

    /// When it ends, in seconds since 1970.
    var end: Int64 { self.term.end }

    /// Starts to look.
    func start() {
        let this = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.task = self.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.interval) { _ in
            this.value.look()
        }
    }

    /// Another certificate is served from now on.
    func changed(to identity: Identity) {
        self.fingerprint = identity.leafFingerprint
        self.term = CertificateTerm(end: identity.leafEnd)
        self.look()
    }

    func stop() { self.task?.cancel() }

    private func look() {
        let time = Int64(clamping: UnixTime.seconds)
        guard let notice = self.term.look(at: time, now: self.eventLoop.now) else { return }
        let isOver = notice == .hasEnded
        self.logger.log(
            level: isOver ? .error : .warning, "\(self.term.words(for: notice, at: time))",
            metadata: [
                "event": isOver ? "certificate.expired" : "certificate.expiring", "file": "\(self.file)",
                "ends": "\(UnixTime.text(self.term.end))",
                "days": .stringConvertible(self.term.left(at: time) / CertificateTerm.secondsPerDay),
                "advice": "renew it; the server takes the new files by itself",
            ])
    }
}

@available(*, unavailable)
extension CertificateWatch: Sendable {}
