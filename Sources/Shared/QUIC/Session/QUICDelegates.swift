package import NIOCore

/// Hears what happens to a session. All calls come on the session's event loop, never from inside a call to the
/// session.
package protocol QUICSessionDelegate: AnyObject {
    /// The peer is authenticated; streams can be opened.
    func sessionHandshakeCompleted(_ session: QUICSession)
    /// The peer opened a stream. Set its `delegate` here: what arrived on it is delivered right after.
    func session(_ session: QUICSession, streamOpened stream: QUICStream)
    /// The peer has raised its limit: after `openStream` threw `.streamLimitReached` it is worth another try.
    func sessionStreamsAvailable(_ session: QUICSession)
    /// A DATAGRAM frame arrived (RFC 9221).
    func session(_ session: QUICSession, datagramReceived datagram: ByteBuffer)
    /// `hasDatagramRoom` has become true again.
    func sessionDatagramsWritable(_ session: QUICSession)
    /// The connection is over. Its streams have been told before. The last call.
    func session(_ session: QUICSession, closed reason: QUICCloseReason)
}

extension QUICSessionDelegate {
    package func sessionStreamsAvailable(_ session: QUICSession) {}
    package func session(_ session: QUICSession, datagramReceived datagram: ByteBuffer) {}
    package func sessionDatagramsWritable(_ session: QUICSession) {}
}

/// Moves a session's datagrams. All calls come on the session's event loop.
protocol QUICSessionEndpoint: AnyObject {
    /// Datagrams for the session carry these ids from now on, and those no more.
    func session(_ session: QUICSession, issued: [ConnectionID], retired: [ConnectionID])
    /// Nothing is sent or received any more: the session has lingered after its end for as long as it had to. The last call.
    func sessionTerminated(_ session: QUICSession)
}

extension QUICSessionEndpoint {
    func session(_ session: QUICSession, issued: [ConnectionID], retired: [ConnectionID]) {}
}

/// Hears what happens on a stream. All calls come on the session's event loop, never from inside a call to the stream.
package protocol QUICStreamDelegate: AnyObject {
    /// Bytes arrived in order: everything one batch of datagrams brought. Call `stream.consume` when they have been
    /// passed on.
    func stream(_ stream: QUICStream, received bytes: ByteBuffer)
    /// The peer finished its direction: no bytes will follow.
    func streamFinished(_ stream: QUICStream)
    /// The peer abandoned its direction with RESET_STREAM (RFC 9000 §19.4).
    func stream(_ stream: QUICStream, resetWith code: UInt64)
    /// The peer reads no more: STOP_SENDING (RFC 9000 §19.5). Our direction has been reset with the same code.
    func stream(_ stream: QUICStream, stoppedWith code: UInt64)
    /// `isWritable` has become true again.
    func streamBecameWritable(_ stream: QUICStream)
    /// Both directions are over (`reason` is nil), or the connection is. The last call; the delegate is released
    /// after it.
    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?)
}

extension QUICStreamDelegate {
    package func streamBecameWritable(_ stream: QUICStream) {}
}
