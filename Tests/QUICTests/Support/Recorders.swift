import NIOCore

@testable import QUIC

/// Remembers what a session told, and gives each stream that is opened a recorder.
final class SessionRecorder: QUICSessionDelegate {
    private(set) var isConnected = false
    private(set) var streams: [QUICStream] = []
    private(set) var recorders: [StreamRecorder] = []
    private(set) var datagrams: [ByteBuffer] = []
    private(set) var closeReason: QUICCloseReason?
    private(set) var streamsBecameAvailable = 0
    private(set) var datagramsBecameWritable = 0
    var onDatagramsWritable: (() -> Void)?
    var onConnected: ((QUICSession) -> Void)?
    /// What to do with a new stream besides recording; streams are not kept when it is set.
    var onStream: ((QUICStream) -> (any QUICStreamDelegate)?)?

    func sessionHandshakeCompleted(_ session: QUICSession) {
        self.isConnected = true
        self.onConnected?(session)
    }

    func session(_ session: QUICSession, streamOpened stream: QUICStream) {
        if let onStream {
            stream.delegate = onStream(stream)
            return
        }
        let recorder = StreamRecorder()
        stream.delegate = recorder
        self.streams.append(stream)
        self.recorders.append(recorder)
    }

    func sessionStreamsAvailable(_ session: QUICSession) { self.streamsBecameAvailable += 1 }

    func sessionDatagramsWritable(_ session: QUICSession) {
        self.datagramsBecameWritable += 1
        self.onDatagramsWritable?()
    }

    func session(_ session: QUICSession, datagramReceived datagram: ByteBuffer) { self.datagrams.append(datagram) }

    func session(_ session: QUICSession, closed reason: QUICCloseReason) { self.closeReason = reason }
}

/// Remembers what a stream told.
final class StreamRecorder: QUICStreamDelegate {
    var consumes = true
    private(set) var received: [UInt8] = []
    private(set) var receivedBytes = 0
    private(set) var isFinished = false
    private(set) var resetCode: UInt64?
    private(set) var stopCode: UInt64?
    private(set) var isClosed = false
    private(set) var closeReason: QUICCloseReason?
    private(set) var becameWritable = 0

    func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        self.receivedBytes += bytes.readableBytes
        self.received.append(contentsOf: bytes.readableBytesView)
        if self.consumes { stream.consume(bytes.readableBytes) }
    }

    func streamFinished(_ stream: QUICStream) { self.isFinished = true }
    func stream(_ stream: QUICStream, resetWith code: UInt64) { self.resetCode = code }
    func stream(_ stream: QUICStream, stoppedWith code: UInt64) { self.stopCode = code }
    func streamBecameWritable(_ stream: QUICStream) { self.becameWritable += 1 }
    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {
        self.isClosed = true
        self.closeReason = reason
    }
}

/// Sends back what it receives and finishes when the peer does.
final class Echo: QUICStreamDelegate {
    func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        stream.write(bytes)
        stream.consume(bytes.readableBytes)
    }
    func streamFinished(_ stream: QUICStream) { stream.finish() }
    func stream(_ stream: QUICStream, resetWith code: UInt64) { stream.reset(code: code) }
    func stream(_ stream: QUICStream, stoppedWith code: UInt64) { stream.stopSending(code: code) }
    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
}

/// Writes `total` bytes as fast as the stream takes them, then finishes.
final class Pump: QUICStreamDelegate {
    let total: Int
    private(set) var written = 0
    private let piece: ByteBuffer

    init(total: Int, pieceSize: Int = 16 << 10) {
        self.total = total
        self.piece = ByteBuffer(bytes: Self.bytes(pieceSize))
    }

    /// What all pumps together have the same: a pattern that no shift maps onto itself.
    static func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    func start(_ stream: QUICStream) {
        while self.written < self.total, stream.isWritable {
            let count = min(self.piece.readableBytes, self.total - self.written)
            guard let bytes = self.piece.getSlice(at: 0, length: count) else { return }
            stream.write(bytes)
            self.written += count
        }
        if self.written == self.total { stream.finish() }
    }

    func streamBecameWritable(_ stream: QUICStream) { self.start(stream) }
    func stream(_ stream: QUICStream, received bytes: ByteBuffer) { stream.consume(bytes.readableBytes) }
    func streamFinished(_ stream: QUICStream) {}
    func stream(_ stream: QUICStream, resetWith code: UInt64) {}
    func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
}
