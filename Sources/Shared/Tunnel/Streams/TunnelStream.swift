import AppProto
package import NIOCore
package import QUIC

/// One TCP connection's way through the tunnel, behind the exchange of `OpenTcp` and `OpenResult`: raw bytes both ways.
///
/// What happens before a `StreamSplice` is attached is kept; bytes are bounded by the stream's flow control. Belongs to
/// the tunnel's event loop.
package final class TunnelStream {
    private enum State {
        /// Nobody listens yet.
        case holding(Held)
        case attached(any StreamConsumer)
        case closed
    }

    /// What happened while nobody listened.
    private struct Held {
        var bytes: ByteBuffer
        var isFinished = false
        var isReset = false
        var isStopped = false
        var isClosed = false
    }

    /// The local address of the agent's connection; nil when it did not tell, and at the agent.
    package let boundAddress: SocketAddress?

    /// Called when the stream breaks while nobody is attached.
    var brokenWhileHeld: (() -> Void)?

    private let stream: QUICStream
    private var state: State
    /// Called once, when the stream is closed.
    private var closed: (() -> Void)?

    /// - Parameter early: what arrived behind the message that opened the stream.
    init(_ stream: QUICStream, early: ByteBuffer, boundAddress: SocketAddress? = nil, closed: @escaping () -> Void) {
        self.stream = stream
        self.boundAddress = boundAddress
        self.state = .holding(Held(bytes: early))
        self.closed = closed
        stream.delegate = self
    }

    /// Abandons the stream in both directions. Not for one that a `StreamSplice` has taken over.
    package func abandon(_ code: TunnelErrorCode = .cancelled) {
        self.reset(code)
        self.stopSending(code)
    }

    /// Its number (RFC 9000 §2.1).
    var id: Int64 { self.stream.id }

    /// Answers a client in order: there will be nothing on this stream. `code` is not `.ok`.
    func refuse(_ code: OpenCode, reason: String) {
        let result = OpenResult(code: code == .ok ? .failed : code, reason: reason.cut(toBytes: AppProtoLimits.reason))
        self.write(TunnelMessageReader.frame(result.encoded()))
        self.finish()
        self.stopSending(.none)
    }

    /// Whether the peer has abandoned the stream, or the tunnel is gone, before anybody was attached.
    var isBroken: Bool {
        switch self.state {
        case .holding(let held): held.isReset || held.isClosed
        case .attached: false
        case .closed: true
        }
    }

    /// Changes what is held; nil when somebody is attached.
    private func hold(_ change: (inout Held) -> Void) -> Bool {
        guard case .holding(var held) = self.state else {
            return false
        }
        self.state = .closed  // Releases the other reference to the buffer, so that appending does not copy it.
        change(&held)
        self.state = .holding(held)
        return true
    }

    private func tellBroken() {
        let broken = self.brokenWhileHeld
        self.brokenWhileHeld = nil
        broken?()
    }
}

@available(*, unavailable)
extension TunnelStream: Sendable {}

extension TunnelStream: ReturnableStream {
    package var isWritable: Bool { self.stream.isWritable }
    package func write(_ bytes: ByteBuffer) { self.stream.write(bytes) }
    package func finish() { self.stream.finish() }
    package func reset(_ code: TunnelErrorCode) { self.stream.reset(code: code.rawValue) }
    package func resetAfterDelivery(_ code: TunnelErrorCode) { self.stream.resetAfterDelivery(code: code.rawValue) }
    package var undeliveredBytes: Int { self.stream.undeliveredBytes }
    package func stopSending(_ code: TunnelErrorCode) { self.stream.stopSending(code: code.rawValue) }
    package func consume(_ bytes: Int) { self.stream.consume(bytes) }

    package func attach(_ consumer: any StreamConsumer) {
        guard case .holding(let held) = self.state else {
            preconditionFailure("a tunnel stream is attached once, and not after its end")
        }
        self.brokenWhileHeld = nil
        self.state = .attached(consumer)
        if held.bytes.readableBytes > 0 { consumer.streamReceived(held.bytes) }
        if held.isReset { consumer.streamReset() }
        if held.isFinished { consumer.streamFinished() }
        if held.isStopped { consumer.streamStopped() }
        if held.isClosed {
            self.state = .closed
            consumer.streamClosed()
        }
    }

    package func detach(unread: ByteBuffer) {
        guard case .attached = self.state else { return }
        self.state = .holding(Held(bytes: unread))
    }
}

extension TunnelStream: QUICStreamDelegate {
    package func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        if case .attached(let consumer) = self.state {
            consumer.streamReceived(bytes)
        } else {
            _ = self.hold { $0.bytes.writeImmutableBuffer(bytes) }
        }
    }

    package func streamFinished(_ stream: QUICStream) {
        if case .attached(let consumer) = self.state {
            consumer.streamFinished()
        } else {
            _ = self.hold { $0.isFinished = true }
        }
    }

    package func stream(_ stream: QUICStream, resetWith code: UInt64) {
        if case .attached(let consumer) = self.state {
            consumer.streamReset()
        } else if self.hold({ $0.isReset = true }) {
            self.tellBroken()
        }
    }

    package func stream(_ stream: QUICStream, stoppedWith code: UInt64) {
        if case .attached(let consumer) = self.state {
            consumer.streamStopped()
        } else {
            _ = self.hold { $0.isStopped = true }
        }
    }

    package func streamBecameWritable(_ stream: QUICStream) {
        if case .attached(let consumer) = self.state {
            consumer.streamBecameWritable()
        }
    }

    package func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {
        self.closed?()
        self.closed = nil
        if case .attached(let consumer) = self.state {
            self.state = .closed
            consumer.streamClosed()
        } else if self.hold({ $0.isClosed = true }) {
            self.tellBroken()
        }
    }
}
