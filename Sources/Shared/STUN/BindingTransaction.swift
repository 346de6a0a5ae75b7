package import NIOCore

/// One STUN Binding transaction over UDP with a server: sends, retransmits, gives up (RFC 8489 §6.2.1).
///
/// Learns the address that the server sees. Start it, pass it what arrives and call `timerFired` at `nextDeadline`.
package struct BindingTransaction: Sendable {
    /// What to do after the timer fired.
    package enum Action: Hashable, Sendable {
        /// Send exactly one datagram.
        case send(ByteBuffer)
        case fail(STUNError)
    }

    private enum State {
        case idle
        case waiting(attempt: Int, deadline: NIODeadline)
        case finished
    }

    private var state = State.idle
    package let id: TransactionID
    private let request: ByteBuffer

    /// Wait after each of the Rc = 7 requests: RTO 500 ms doubling, then Rm (16) × RTO. 39.5 s in all.
    package static let waits: [TimeAmount] = [500, 1000, 2000, 4000, 8000, 16000, 8000].map { .milliseconds($0) }

    package init(id: TransactionID) {
        self.id = id
        self.request = STUNMessage(.request, id: id).encoded(fingerprint: true)
    }

    /// When to call `timerFired(at:)`; nil before the start and after the end.
    package var nextDeadline: NIODeadline? {
        if case .waiting(_, let deadline) = self.state { deadline } else { nil }
    }

    /// The first request. Call once.
    package mutating func start(at now: NIODeadline) -> ByteBuffer {
        guard case .idle = self.state else {
            preconditionFailure("a STUN transaction can be started once")
        }
        self.state = .waiting(attempt: 1, deadline: now + Self.waits[0])
        return self.request
    }

    /// Call once `nextDeadline` has passed; an early or late call is harmless.
    package mutating func timerFired(at now: NIODeadline) -> Action? {
        switch self.state {
        case .waiting(let attempt, let deadline) where now >= deadline:
            guard attempt < Self.waits.count else {
                self.state = .finished
                return .fail(.timedOut(attempts: attempt))
            }
            self.state = .waiting(attempt: attempt + 1, deadline: now + Self.waits[attempt])
            return .send(self.request)
        case .idle, .waiting, .finished:
            return nil
        }
    }

    /// Looks at a message that arrived from the server's address: the mapped address or the reason for the end, or nil
    /// when the message has nothing to do with this transaction.
    package mutating func received(_ message: STUNMessage) -> Result<SocketAddress, STUNError>? {
        guard case .waiting = self.state, message.id == self.id, message.method == .binding else {
            return nil
        }
        let unknown = message.unknownRequiredAttributes
        switch message.messageClass {
        case .request, .indication:
            return nil
        case .success where unknown.isEmpty:
            self.state = .finished
            guard let address = message.mappedAddress?.socketAddress else {
                return .failure(.noMappedAddress)
            }
            return .success(address)
        case .failure where unknown.isEmpty:
            self.state = .finished
            return .failure(
                message.errorCode.map { .answered($0) } ?? .malformedAttribute(type: STUNAttributeType.errorCode))
        case .success, .failure:
            self.state = .finished
            return .failure(.unknownAttributes(unknown))
        }
    }
}
