import Basics
import FlowLedger
import NIOCore
import Tunnel
import TunnelClient

/// Records what is asked of it; the test answers.
final class FakeConnector: TargetConnector {
    var requests: [(target: Target, completion: (TargetResult) -> Void)] = []
    var origins: [FlowOrigin] = []
    var cancelled: [RequestID] = []

    func connect(
        to target: Target, for origin: FlowOrigin, completion: @escaping (TargetResult) -> Void
    ) -> RequestID {
        self.requests.append((target, completion))
        self.origins.append(origin)
        return RequestID(rawValue: UInt64(self.requests.count))
    }

    func cancel(_ id: RequestID) {
        self.cancelled.append(id)
    }
}

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

/// What takes over from the handshake.
final class FakeCarrier: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    var received = ""
    var isInputClosed = false
    var isAbandoned = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.received += String(buffer: self.unwrapInboundIn(data))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed = event as? ChannelEvent { self.isInputClosed = true }
    }

    var connection: TargetConnection {
        TargetConnection(
            boundAddress: nil, makeHandler: { self }, makeStream: { preconditionFailure("a tunnel is asked for") },
            abandon: { self.isAbandoned = true })
    }
}
