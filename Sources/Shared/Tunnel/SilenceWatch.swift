import NIOCore
import QUIC

/// Tells when packets of a session have waited for any sign of life for too long, and when one comes after all. Belongs to
/// the session's event loop.
final class SilenceWatch {
    /// Silence with packets outstanding that is too long.
    static let limit = TimeAmount.seconds(2)

    private enum State {
        /// No packet waits, as far as is known.
        case calm
        /// The next look is when those that wait will have waited for too long.
        case waiting(Scheduled<Void>)
        /// Told.
        case silent
    }

    weak var session: QUICSession?
    /// Told of each change, never from inside a call to the session or to this.
    var changed: ((Bool) -> Void)?
    private var state = State.calm

    /// What was told last.
    var isSilent: Bool { if case .silent = self.state { true } else { false } }

    /// A packet has left.
    func sent() {
        if case .calm = self.state { self.wait() }
    }

    /// Whatever came has been read.
    func received() {
        guard self.isSilent, let session = self.session, !self.waitsTooLong(session) else { return }
        self.wait()
        session.eventLoop.assumeIsolated().execute { self.changed?(false) }
    }

    /// The session is over.
    func stop() {
        if case .waiting(let look) = self.state { look.cancel() }
        self.session = nil
        self.changed = nil
    }

    private func waitsTooLong(_ session: QUICSession) -> Bool {
        session.unansweredSince.map { session.eventLoop.now - $0 >= Self.limit } ?? false
    }

    private func wait() {
        self.state = .calm
        guard let session = self.session, let since = session.unansweredSince else { return }
        self.state = .waiting(
            session.eventLoop.assumeIsolated().scheduleTask(deadline: since + Self.limit) { [weak self] in
                self?.look()
            })
    }

    private func look() {
        guard let session = self.session, self.waitsTooLong(session) else { return self.wait() }
        self.state = .silent
        self.changed?(true)
    }
}

@available(*, unavailable)
extension SilenceWatch: Sendable {}
