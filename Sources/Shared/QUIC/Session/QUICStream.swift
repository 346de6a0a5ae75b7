package import NIOCore

/// One bidirectional stream of a connection. Belongs to its session's event loop: use and release it there only.
package final class QUICStream {
    /// The stream's number (RFC 9000 §2.1).
    package let id: Int64
    /// Told what happens; held strongly until the stream is closed.
    package var delegate: (any QUICStreamDelegate)?
    /// Unsent bytes above which `isWritable` turns false, and below which it turns true again.
    package var writableMarks = (high: 256 << 10, low: 64 << 10)

    /// What has happened since the delegate was told last.
    struct News: OptionSet {
        let rawValue: UInt8
        static let opened = News(rawValue: 1 << 0)
        static let received = News(rawValue: 1 << 1)
        static let finished = News(rawValue: 1 << 2)
        static let reset = News(rawValue: 1 << 3)
        static let stopped = News(rawValue: 1 << 4)
        static let writable = News(rawValue: 1 << 5)
        static let closed = News(rawValue: 1 << 6)
    }

    /// How our direction ends, or has ended.
    enum SendState {
        case open
        /// `finish` was called; FIN goes out behind the last byte.
        case finishing
        /// FIN has been put into a packet.
        case finished
        /// `resetAfterDelivery` was called; RESET_STREAM goes out when the peer has acknowledged the last byte.
        case resetting(code: UInt64)
        /// Abandoned, by us or on the peer's demand.
        case abandoned
    }

    // The rest is the connection's state of the stream; it is its only user. 18 stored variables in all: one object for each
    // stream, rather than several to look up.

    /// Strong, so that credit for late consumers finds its way; the cycle ends when the connection drops its closed
    /// streams.
    let connection: QUICConnection
    var news: News = []
    /// Bytes that arrived in this batch.
    var received = ByteBuffer()
    /// How many bytes the last batch brought: the capacity to start the next one with.
    var expectedBytes = 0
    /// Bytes handed to the delegate and not consumed yet.
    var unconsumed = 0
    var window: StreamWindow
    /// Set when the stream ended because the connection did.
    var closeReason: QUICCloseReason?
    var resetCode: UInt64 = 0
    var stopCode: UInt64 = 0
    var sendState = SendState.open
    var sendBuffer = SendBuffer()
    var place = SendQueue.Place.none
    /// Set while the peer's stream window is used up.
    var isBlocked = false {
        didSet {
            if self.isBlocked != oldValue { self.connection.sendQueue.blockedCount += self.isBlocked ? 1 : -1 }
        }
    }
    /// Set by `stopSending`: what still arrives is of no interest.
    var ignoresReceived = false
    var isThrottled = false

    init(id: Int64, connection: QUICConnection) {
        self.id = id
        self.connection = connection
        let configuration = connection.context.configuration
        self.window = StreamWindow(
            initial: configuration.initialStreamWindow, limit: configuration.maxStreamWindow)
    }

    deinit {
        // A delegate that went without consuming everything must not keep the connection's credit.
        if self.unconsumed > 0 { self.connection.returnCredit(self.unconsumed) }
    }

    /// Queues `bytes` to be sent; they are copied. Ignored after `finish` or `reset`, when the peer stopped the
    /// stream, or when it is closed.
    package func write(_ bytes: ByteBuffer) {
        guard case .open = self.sendState, bytes.readableBytes > 0 else { return }
        self.sendBuffer.append(bytes)
        if self.sendBuffer.unsentBytes > self.writableMarks.high { self.isThrottled = true }
        self.connection.enqueue(self)
    }

    /// Ends our direction after what has been written (FIN).
    package func finish() {
        guard case .open = self.sendState else { return }
        self.sendState = .finishing
        self.connection.enqueue(self)
    }

    /// Abandons our direction: unsent bytes are dropped, the peer sees `code` (RESET_STREAM, RFC 9000 §19.4). `code`
    /// < 2^62.
    package func reset(code: UInt64) {
        if case .abandoned = self.sendState { return }
        self.abandonSending()
        self.connection.shutdownWriting(of: self, code: code)
    }

    /// Abandons our direction behind everything that was written: the peer sees `code` once it has acknowledged the last
    /// byte. RESET_STREAM overtakes data that is under way (RFC 9000 §3.1, "Data Sent"), so it cannot leave earlier.
    /// Without effect after `finish` or `reset`. A peer that reads nothing can put it off for ever: watch
    /// `undeliveredBytes`, and call `reset` when it has waited long enough. `code` < 2^62.
    package func resetAfterDelivery(code: UInt64) {
        guard case .open = self.sendState else { return }
        self.sendState = .resetting(code: code)
        self.isThrottled = false
        if self.undeliveredBytes == 0 { self.reset(code: code) }
    }

    /// Tells the peer that we read no more (STOP_SENDING, RFC 9000 §19.5); what still arrives is dropped and
    /// consumed. `code` < 2^62.
    package func stopSending(code: UInt64) {
        guard !self.ignoresReceived else { return }
        self.ignoresReceived = true
        self.received = ByteBuffer()
        self.news.subtract([.received, .finished, .reset])
        self.connection.shutdownReading(of: self, code: code)
        self.consume(self.unconsumed)
    }

    /// False while more than `writableMarks.high` bytes wait to be sent (256 KiB unless set); true again below the low
    /// mark, which the delegate is told.
    package var isWritable: Bool { !self.isThrottled }

    /// Bytes written and not yet put into a packet.
    package var unsentBytes: Int { self.sendBuffer.unsentBytes }

    /// Bytes written that the peer has not acknowledged yet.
    package var undeliveredBytes: Int { Int(self.sendBuffer.endOffset - self.sendBuffer.acknowledgedOffset) }

    /// Gives the peer credit for `bytes` that were received and have been passed on. Works after the stream is
    /// closed, too: the connection's credit is held back until then.
    package func consume(_ bytes: Int) {
        let count = min(bytes, self.unconsumed)
        guard count > 0 else { return }
        self.unconsumed -= count
        self.connection.streamConsumed(self, count)
    }

    /// Nothing more will be sent; bytes in flight stay for as long as ngtcp2 may look at them.
    func abandonSending() {
        self.sendState = .abandoned
        self.sendBuffer.dropUnsent()
        self.isBlocked = false
        self.isThrottled = false
    }

    /// Whether FIN is to go out with the last byte.
    var isFinishing: Bool { if case .finishing = self.sendState { true } else { false } }

    /// Whether there is something to put into a packet.
    var hasWork: Bool {
        switch self.sendState {
        case .open, .resetting: self.sendBuffer.unsentBytes > 0
        case .finishing: true
        case .finished, .abandoned: false
        }
    }
}

@available(*, unavailable)
extension QUICStream: Sendable {}
