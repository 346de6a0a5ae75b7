import NIOCore
import Tunnel

/// A target's stream: records what it is told, and lets the test say what comes.
final class FakeStream: ReturnableStream {
    var isWritable = true
    var written = ""
    var isFinished = false
    var isReset = false
    var isStopped = false
    var consumed = 0
    /// What was given back.
    var unread: String?
    let undeliveredBytes = 0
    private(set) var consumer: (any StreamConsumer)?

    func write(_ bytes: ByteBuffer) { self.written += String(buffer: bytes) }
    func finish() { self.isFinished = true }
    func reset(_ code: TunnelErrorCode) { self.isReset = true }
    func resetAfterDelivery(_ code: TunnelErrorCode) { self.isReset = true }
    func stopSending(_ code: TunnelErrorCode) { self.isStopped = true }
    func consume(_ bytes: Int) { self.consumed += bytes }
    func attach(_ consumer: any StreamConsumer) { self.consumer = consumer }
    func detach(unread: ByteBuffer) {
        self.consumer = nil
        self.unread = String(buffer: unread)
    }

    /// What was written since the last call.
    func takeWritten() -> String {
        defer { self.written = "" }
        return self.written
    }

    func receive(_ text: String) { self.consumer?.streamReceived(ByteBuffer(string: text)) }
}
