import AppProto
import NIOCore
import QUIC

/// An agent's wait for the first message on a stream that a client has opened.
final class TunnelReception {
    /// A client sends the message with the stream's first bytes; later ones are for lossy networks.
    static let timeLimit = TimeAmount.seconds(10)

    private var reader = TunnelMessageReader()
    private var timeout: Scheduled<Void>?
    private let requested: (StreamOpening, TunnelStream) -> Void
    private var closed: (() -> Void)?
    /// Set when the message has come, or will not be waited for.
    private var isDone = false

    /// `closed` is called when the stream is over, whoever has it then.
    init(
        _ stream: QUICStream, eventLoop: any EventLoop, requested: @escaping (StreamOpening, TunnelStream) -> Void,
        closed: @escaping () -> Void
    ) {
        self.requested = requested
        self.closed = closed
        stream.delegate = self
        self.timeout = eventLoop.assumeIsolated().scheduleTask(in: Self.timeLimit) { [weak self] in
            self?.fail(stream, telling: .headerTimedOut)
        }
    }

    private func stopWaiting() {
        self.isDone = true
        self.timeout?.cancel()
        self.timeout = nil
    }

    private func fail(_ stream: QUICStream, telling code: TunnelErrorCode) {
        guard !self.isDone else {
            return
        }
        self.stopWaiting()
        stream.reset(code: code.rawValue)
        stream.stopSending(code: code.rawValue)
    }
}

@available(*, unavailable)
extension TunnelReception: Sendable {}

extension TunnelReception: QUICStreamDelegate {
    func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        guard !self.isDone else {
            return stream.consume(bytes.readableBytes)
        }
        var bytes = bytes
        let count = bytes.readableBytes
        do {
            let message = try self.reader.read(from: &bytes)
            stream.consume(count - bytes.readableBytes)
            guard let message else {
                return
            }
            let opening = try StreamOpening(decoding: message)
            self.stopWaiting()
            let closed = self.closed ?? {}
            self.closed = nil
            self.requested(opening, TunnelStream(stream, early: bytes, closed: closed))
        } catch {
            self.fail(stream, telling: .badHeader)
        }
    }

    func streamFinished(_ stream: QUICStream) {
        self.fail(stream, telling: .badHeader)
    }

    func stream(_ stream: QUICStream, resetWith code: UInt64) {
        self.fail(stream, telling: .cancelled)
    }

    func stream(_ stream: QUICStream, stoppedWith code: UInt64) {
        self.fail(stream, telling: .cancelled)
    }

    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {
        self.stopWaiting()
        self.closed?()
        self.closed = nil
    }
}
