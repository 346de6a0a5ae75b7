import DequeModule
import NIOCore

/// What a connection has to tell, in the order in which its owner hears it: the handshake, then what streams have received,
/// then the rest, the connection's end last.
struct EventQueue {
    /// A batch may bring more; then its buffer grows.
    private static let maxExpectedBytes = 256 << 10

    /// Streams with news, in the order in which the first of it came.
    private var streams: Deque<QUICStream> = []
    private var events: Deque<QUICEvent> = []

    var isEmpty: Bool { self.streams.isEmpty && self.events.isEmpty }

    mutating func append(_ event: QUICEvent) { self.events.append(event) }

    /// One piece of news says it all, however often the limit was raised in a batch.
    mutating func appendStreamsAvailable() {
        if case .streamsAvailable? = self.events.last { return }
        self.events.append(.streamsAvailable)
    }

    mutating func note(_ news: QUICStream.News, on stream: QUICStream) {
        if stream.news.isEmpty { self.streams.append(stream) }
        stream.news.insert(news)
    }

    /// The next thing to tell, nil when all is told.
    mutating func popFirst() -> QUICEvent? {
        // Streams first: what a stream received goes out before the news that the whole connection is closed.
        if case .handshakeCompleted? = self.events.first { return self.events.popFirst() }
        while let stream = self.streams.first {
            if let event = Self.nextEvent(of: stream) { return event }
            self.streams.removeFirst()
        }
        return self.events.popFirst()
    }

    private static func nextEvent(of stream: QUICStream) -> QUICEvent? {
        if stream.news.remove(.opened) != nil { return .streamOpened(stream) }
        if stream.news.remove(.received) != nil {
            let bytes = stream.received
            stream.received = ByteBuffer()
            stream.expectedBytes = min(bytes.readableBytes, Self.maxExpectedBytes)
            return .streamReceived(stream, bytes)
        }
        if stream.news.remove(.finished) != nil { return .streamFinished(stream) }
        if stream.news.remove(.reset) != nil { return .streamReset(stream, code: stream.resetCode) }
        if stream.news.remove(.stopped) != nil { return .streamStopped(stream, code: stream.stopCode) }
        if stream.news.remove(.writable) != nil { return .streamWritable(stream) }
        if stream.news.remove(.closed) != nil { return .streamClosed(stream, reason: stream.closeReason) }
        return nil
    }
}
