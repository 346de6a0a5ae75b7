import AppProto
package import NIOCore
package import QUIC

/// A client's wait for the agent's answer on a new stream. Belongs to the tunnel's event loop.
package final class TunnelOpening {
    typealias Completion = (Result<TunnelStream, TunnelOpenError>) -> Void

    /// Nil for an opening that failed before it had a stream.
    private let stream: QUICStream?
    private var reader = TunnelMessageReader()
    /// Nil once it was called or cancelled.
    private var completion: Completion?
    private var timeout: Scheduled<Void>?
    private var closed: (() -> Void)?

    /// Asks for `target` on `stream`. `closed` is called when the stream is over, whoever has it then.
    init(
        _ target: OpenTcp, on stream: QUICStream, timeout: TimeAmount, eventLoop: any EventLoop,
        completion: @escaping Completion, closed: @escaping () -> Void
    ) {
        self.stream = stream
        self.completion = completion
        self.closed = closed
        stream.delegate = self
        stream.write(TunnelMessageReader.frame(target.encoded()))
        self.timeout = eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in
            self?.fail(.timedOut(after: timeout), telling: .cancelled)
        }
    }

    /// An opening that cannot be: fails in the next turn of the loop.
    init(failing error: TunnelOpenError, eventLoop: any EventLoop, completion: @escaping Completion) {
        self.stream = nil
        self.completion = completion
        eventLoop.assumeIsolated().execute {
            self.complete(.failure(error))
        }
    }

    /// Gives up: the agent is told, and the completion is not called any more.
    package func cancel() {
        guard self.completion != nil else {
            return
        }
        self.completion = nil
        self.fail(.notConnected, telling: .cancelled)
    }

    private func complete(_ result: Result<TunnelStream, TunnelOpenError>) {
        self.timeout?.cancel()
        self.timeout = nil
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }

    /// Abandons the stream in both directions.
    private func fail(_ error: TunnelOpenError, telling code: TunnelErrorCode) {
        self.stream?.reset(code: code.rawValue)
        self.stream?.stopSending(code: code.rawValue)
        self.complete(.failure(error))
    }

    private func received(_ message: ByteBuffer, early: ByteBuffer, on stream: QUICStream) {
        let result: OpenResult
        do {
            result = try OpenResult(decoding: message)
        } catch {
            return self.fail(.brokenStream("its answer is malformed: \(error)"), telling: .badHeader)
        }
        guard result.code == .ok else {
            // In order: nothing was sent behind the question, and nothing comes behind the answer.
            stream.finish()
            stream.stopSending(code: TunnelErrorCode.none.rawValue)
            return self.complete(.failure(.refused(result.code, reason: result.reason)))
        }
        let closed = self.closed ?? {}
        self.closed = nil
        self.complete(
            .success(TunnelStream(stream, early: early, boundAddress: result.boundAddress, closed: closed)))
    }
}

@available(*, unavailable)
extension TunnelOpening: Sendable {}

extension TunnelOpening: QUICStreamDelegate {
    package func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        guard self.completion != nil else {
            return stream.consume(bytes.readableBytes)
        }
        var bytes = bytes
        let count = bytes.readableBytes
        do {
            let message = try self.reader.read(from: &bytes)
            stream.consume(count - bytes.readableBytes)
            if let message {
                self.received(message, early: bytes, on: stream)
            }
        } catch {
            self.fail(.brokenStream("the length of its answer is not plausible"), telling: .badHeader)
        }
    }

    package func streamFinished(_ stream: QUICStream) {
        if self.completion != nil {
            self.fail(.brokenStream("it ended the stream before it answered"), telling: .badHeader)
        }
    }

    package func stream(_ stream: QUICStream, resetWith code: UInt64) {
        if self.completion != nil {
            self.fail(.brokenStream("it reset the stream with code \(code)"), telling: .cancelled)
        }
    }

    /// The answer, or a reset, follows.
    package func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}

    package func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {
        self.closed?()
        self.closed = nil
        self.complete(.failure(reason == nil ? .brokenStream("it closed the stream") : .notConnected))
    }
}
