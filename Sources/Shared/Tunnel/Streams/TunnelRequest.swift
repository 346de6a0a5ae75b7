package import AppProto
package import NIOCore

/// A client's wish for a TCP connection from the agent. Belongs to the tunnel's event loop. Answer it once.
package final class TunnelRequest {
    /// Where the client wants to be connected to.
    package let target: OpenTcp

    /// Set it to hear that the client gave up before it was answered: stop dialing. Called at most once.
    package var cancelled: (() -> Void)?

    /// Nil once it has been answered.
    private var stream: TunnelStream?

    init(target: OpenTcp, stream: TunnelStream) {
        self.target = target
        self.stream = stream
        stream.brokenWhileHeld = { [weak self] in
            self?.clientGaveUp()
        }
    }

    /// The target is connected: tells the client so, and gives the stream to splice. Nil when the client has given up
    /// meanwhile.
    package func accept(boundAddress: SocketAddress?) -> TunnelStream? {
        guard let stream = self.answer() else {
            return nil
        }
        let result = OpenResult(code: .ok, boundAddress: boundAddress)
        stream.write(TunnelMessageReader.frame(result.encoded()))
        return stream
    }

    /// Tells the client why there is no connection; `code` is not `.ok`. Without effect when the client has given up.
    package func refuse(_ code: OpenCode, reason: String) {
        guard let stream = self.answer() else {
            return
        }
        stream.refuse(code, reason: reason)
    }

    private func answer() -> TunnelStream? {
        guard let stream = self.stream else {
            return nil
        }
        self.stream = nil
        self.cancelled = nil
        stream.brokenWhileHeld = nil
        guard !stream.isBroken else {
            stream.abandon(.cancelled)
            return nil
        }
        return stream
    }

    private func clientGaveUp() {
        self.stream?.abandon(.cancelled)
        self.stream = nil
        let cancelled = self.cancelled
        self.cancelled = nil
        cancelled?()
    }
}

@available(*, unavailable)
extension TunnelRequest: Sendable {}
