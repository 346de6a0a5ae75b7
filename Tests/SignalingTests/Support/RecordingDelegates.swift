import AppProto
import NIOCore

@testable import Signaling

/// Writes down what a connection tells, and answers requests when it is told how.
final class RecordingConnectionDelegate: SignalConnectionDelegate {
    var requests: [SignalRequest] = []
    var events: [Envelope.Body] = []
    var closed: [SignalCloseReason] = []
    var answer: ((SignalRequest) -> Void)?

    func connection(_ connection: SignalConnection, received request: SignalRequest) {
        self.requests.append(request)
        self.answer?(request)
    }

    func connection(_ connection: SignalConnection, receivedEvent event: Envelope.Body) {
        self.events.append(event)
    }

    func connectionClosed(_ connection: SignalConnection, reason: SignalCloseReason) {
        self.closed.append(reason)
    }
}

/// Writes down what a link tells.
final class RecordingLinkDelegate: SignalLinkDelegate {
    var messages: [ByteBuffer] = []
    var ends: [(any Error)?] = []
    var becameWritable = 0
    /// What came apart from the messages.
    var unreliable: [ByteBuffer] = []

    func link(_ link: any SignalLink, receivedUnreliable message: ByteBuffer) {
        self.unreliable.append(message)
    }

    func link(_ link: any SignalLink, received message: ByteBuffer) {
        self.messages.append(message)
    }

    func linkClosed(_ link: any SignalLink, error: (any Error)?) {
        self.ends.append(error)
    }

    func linkBecameWritable(_ link: any SignalLink) {
        self.becameWritable += 1
    }
}

/// Writes down what a client tells.
final class RecordingClientDelegate: SignalClientDelegate {
    var sessions: [SignalSession] = []
    var losses = 0
    var events: [Envelope.Body] = []
    var onConnect: ((SignalSession) -> Void)?

    func signalConnected(_ session: SignalSession) {
        self.sessions.append(session)
        self.onConnect?(session)
    }

    func signalLost() {
        self.losses += 1
    }

    func signalReceived(_ request: SignalRequest) {
        request.respond(.agentList(AgentList(agents: [])))
    }

    func signalReceived(event: Envelope.Body) {
        self.events.append(event)
    }
}

/// Every value of the type, in order.
struct CountingGenerator: RandomNumberGenerator {
    var value: UInt64

    mutating func next() -> UInt64 {
        defer { self.value &+= 0x9e37_79b9_7f4a_7c15 }
        return self.value
    }
}

let testKey = SharedKey(derived: Array(repeating: 7, count: 32))
let otherKey = SharedKey(derived: Array(repeating: 8, count: 32))
