import NIOCore

/// What a connection has to tell; drained with `QUICConnection.nextEvent()`.
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
    /// The last event.
    case closed(QUICCloseReason)
}
