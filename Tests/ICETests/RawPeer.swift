import NIOCore
import STUN
import TestSupport

@testable import ICE

/// The other side of one agent, made by hand: correct messages, and messages that are not.
struct RawPeer {
    let local: ICECredentials
    let remote: ICECredentials
    private var generator = SeededGenerator(99)

    init(of credentials: ICECredentials) {
        var generator = SeededGenerator(77)
        self.local = .random(using: &generator)
        self.remote = credentials
    }

    var username: String { "\(self.remote.ufrag):\(self.local.ufrag)" }

    /// A check as RFC 8445 §7.2.2 has it, but for what is said otherwise.
    mutating func check(
        controlling: Bool = true, tieBreaker: UInt64 = 5, priority: UInt32? = 1_845_501_695, useCandidate: Bool = false,
        username: String? = nil, key: String? = nil, extra: [STUNAttribute] = []
    ) -> ByteBuffer {
        var attributes: [STUNAttribute] = [.username(username ?? self.username)]
        attributes += priority.map { [.priority($0)] } ?? []
        attributes.append(controlling ? .iceControlling(tieBreaker) : .iceControlled(tieBreaker))
        attributes += useCandidate ? [.useCandidate] : []
        return STUNMessage(.request, id: .random(using: &self.generator), attributes: attributes + extra)
            .encoded(integrityKey: MessageIntegrityKey((key ?? self.remote.pwd).utf8), fingerprint: true)
    }

    /// The answer to one of the agent's checks.
    func answer(to request: ByteBuffer, mapped: SocketAddress, key: String? = nil) throws -> ByteBuffer {
        let id = try ReceivedSTUNMessage(decoding: request).message.id
        let attributes = TransportAddress(mapped).map { [STUNAttribute.xorMappedAddress($0)] } ?? []
        return STUNMessage(.success, id: id, attributes: attributes)
            .encoded(integrityKey: MessageIntegrityKey((key ?? self.local.pwd).utf8), fingerprint: true)
    }

    func refusal(of request: ByteBuffer, _ error: STUNErrorCode, proved: Bool = true) throws -> ByteBuffer {
        let id = try ReceivedSTUNMessage(decoding: request).message.id
        return STUNMessage(.failure, id: id, attributes: [.errorCode(error)])
            .encoded(integrityKey: proved ? MessageIntegrityKey(self.local.pwd.utf8) : nil, fingerprint: true)
    }
}

extension ICEAgent {
    mutating func drainTransmits() -> [ICETransmit] {
        var all: [ICETransmit] = []
        while let transmit = self.nextTransmit() {
            all.append(transmit)
        }
        return all
    }

    mutating func drainEvents() -> [ICEEvent] {
        var all: [ICEEvent] = []
        while let event = self.nextEvent() {
            all.append(event)
        }
        return all
    }
}

/// An agent that expectations may drain: macros see their operands as constants.
final class AgentBox {
    var agent: ICEAgent

    init(_ agent: ICEAgent) {
        self.agent = agent
    }
}
