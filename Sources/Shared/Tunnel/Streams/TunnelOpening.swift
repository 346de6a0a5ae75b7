import AppProto
package import NIOCore
package import QUIC

/// A client's wait for a stream, and for the agent's answer on it. Belongs to the tunnel's event loop.
package final class TunnelOpening {
    typealias Completion = (Result<TunnelStream, TunnelOpenError>) -> Void

    /// Nil while the agent allows no further stream, and for an opening that failed before it had one.
    private var stream: QUICStream?
    private var reader = TunnelMessageReader()
    /// Nil once it was called or cancelled.
    private var completion: Completion?
    private var timeout: Scheduled<Void>?
    private var closed: (() -> Void)?
    private let wish: StreamOpening?
    /// Called when the opening ends without ever having had a stream.
    private var gaveUpWaiting: ((TunnelOpening) -> Void)?

    /// Will ask for `wish` once it gets a stream with `start`. The wait for the stream and that for the answer may take
    /// `timeout` together. `gaveUpWaiting` is called if there never was a stream.
    init(
        _ wish: StreamOpening, timeout: TimeAmount, eventLoop: any EventLoop, completion: @escaping Completion,
        gaveUpWaiting: @escaping (TunnelOpening) -> Void
    ) {
        self.wish = wish
        self.completion = completion
        self.gaveUpWaiting = gaveUpWaiting
        self.timeout = eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in
            guard let self else { return }
            self.fail(self.stream == nil ? .streamLimitReached : .timedOut(after: timeout), telling: .cancelled)
        }
    }

    /// Asks on `stream`. `closed` is called when the stream is over, whoever has it then.
    func start(on stream: QUICStream, closed: @escaping () -> Void) {
        guard let wish = self.wish, self.completion != nil else {
            preconditionFailure("an opening is started once, and not after its end")
        }
        self.gaveUpWaiting = nil
        self.stream = stream
        self.closed = closed
        stream.delegate = self
        stream.write(TunnelMessageReader.frame(wish.encoded()))
    }

    /// An opening that cannot be: fails in the next turn of the loop.
    init(failing error: TunnelOpenError, eventLoop: any EventLoop, completion: @escaping Completion) {
        self.wish = nil
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

    /// The tunnel is over, and no stream will come.
    func tunnelClosed() {
        self.complete(.failure(.notConnected))
    }

    private func complete(_ result: Result<TunnelStream, TunnelOpenError>) {
        self.timeout?.cancel()
        self.timeout = nil
        let completion = self.completion
        self.completion = nil
        self.gaveUpWaiting?(self)
        self.gaveUpWaiting = nil
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
