package import NIOCore
package import QUIC

/// Waits on the server's side for the first stream of a QUIC connection, and makes a link of it.
package final class QUICLinkAcceptor {
    private let remoteAddress: SocketAddress?
    private let localAddress: SocketAddress?
    private let accepted: (QUICLink) -> Void
    private var timer: Scheduled<Void>?

    private init(
        localAddress: SocketAddress?, remoteAddress: SocketAddress?, accepted: @escaping (QUICLink) -> Void
    ) {
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
        self.accepted = accepted
    }

    /// Takes over a session that has just been accepted. `accepted` is called with its link when the peer has opened its
    /// stream; a session that opens none within `timeout` is closed.
    package static func accept(
        _ session: QUICSession, localAddress: SocketAddress?, remoteAddress: SocketAddress?,
        timeout: TimeAmount = .seconds(10), accepted: @escaping (QUICLink) -> Void
    ) {
        let acceptor = QUICLinkAcceptor(localAddress: localAddress, remoteAddress: remoteAddress, accepted: accepted)
        session.delegate = acceptor
        // The session does not retain its delegate; the timer keeps the acceptor alive as long as it is needed.
        acceptor.timer = session.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            acceptor.timer = nil
            session.close(code: 0, reason: "no stream was opened within \(timeout.inSeconds) s")
        }
    }

    private func stopWaiting() {
        self.timer?.cancel()
        self.timer = nil
    }
}

@available(*, unavailable)
extension QUICLinkAcceptor: Sendable {}

extension QUICLinkAcceptor: QUICSessionDelegate {
    package func sessionHandshakeCompleted(_ session: QUICSession) {}

    package func session(_ session: QUICSession, streamOpened stream: QUICStream) {
        self.stopWaiting()
        self.accepted(
            QUICLink(
                session: session, stream: stream, localAddress: self.localAddress, remoteAddress: self.remoteAddress,
                isTrusted: false))
    }

    package func session(_ session: QUICSession, closed reason: QUICCloseReason) {
        self.stopWaiting()
    }
}
