package import NIOCore

/// What a splice, or whoever else speaks with a target, needs of a stream. `TunnelStream` is the one in use; tests have their own.
package protocol SpliceableStream: AnyObject {
    /// False while too much waits to be sent.
    var isWritable: Bool { get }
    /// Queues bytes to be sent.
    func write(_ bytes: ByteBuffer)
    /// Ends our direction behind what was written.
    func finish()
    /// Abandons our direction, now: what is on its way may be lost.
    func reset(_ code: TunnelErrorCode)
    /// Abandons our direction once the peer has everything that was written.
    func resetAfterDelivery(_ code: TunnelErrorCode)
    /// Bytes written that the peer has not acknowledged.
    var undeliveredBytes: Int { get }
    /// Says that we read no more.
    func stopSending(_ code: TunnelErrorCode)
    /// Gives credit for bytes that were passed on.
    func consume(_ bytes: Int)
    /// Delivers everything to `consumer` from now on, what has happened so far at once.
    func attach(_ consumer: any StreamConsumer)
}

/// A stream that can change hands.
package protocol ReturnableStream: SpliceableStream {
    /// Takes the stream from its consumer, which hears nothing more of it: somebody else will be attached, and gets `unread`
    /// first, which has come already and has not been consumed. Only while both directions are open.
    func detach(unread: ByteBuffer)
}

/// Hears what happens on a stream. Never called from inside a call to the stream, except by `attach`.
package protocol StreamConsumer: AnyObject {
    /// Bytes arrived; they count against the stream's credit until they are consumed.
    func streamReceived(_ bytes: ByteBuffer)
    /// The peer ended its direction.
    func streamFinished()
    /// The peer abandoned its direction.
    func streamReset()
    /// The peer reads no more; our direction is over.
    func streamStopped()
    /// `isWritable` has become true again.
    func streamBecameWritable()
    /// Both directions are over, or the tunnel is. The last call.
    func streamClosed()
}
