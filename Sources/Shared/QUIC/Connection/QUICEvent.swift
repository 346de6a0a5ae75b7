import NIOCore

/// What a connection has to tell; drained from `QUICConnection.events`.
enum QUICEvent {
    case handshakeCompleted
    case streamOpened(QUICStream)
    case streamReceived(QUICStream, ByteBuffer)
    case streamFinished(QUICStream)
    case streamReset(QUICStream, code: UInt64)
    case streamStopped(QUICStream, code: UInt64)
    case streamWritable(QUICStream)
    /// `reason` is nil when both directions came to their end.
    case streamClosed(QUICStream, reason: QUICCloseReason?)
    case datagram(ByteBuffer)
    /// There is room for DATAGRAM frames again.
    case datagramsWritable
    /// The peer lets us open more streams than before (MAX_STREAMS, RFC 9000 §19.11).
    case streamsAvailable
    /// The last event.
    case closed(QUICCloseReason)
}
