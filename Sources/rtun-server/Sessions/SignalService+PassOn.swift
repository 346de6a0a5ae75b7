import AppProto
import NIOCore
import Signaling

/// What one end of a channel has for the other.
extension SignalService {
    /// Asks an agent on behalf of a client, and performs what `answered` makes of the answer.
    func forward(
        _ request: Envelope.Body, from client: SessionID, to agent: SessionID,
        answered: @escaping (Result<Envelope.Body, Failure>) -> [Broker.Action]
    ) {
        guard let connection = self.sessions[agent]?.connection else {
            return self.perform(answered(.failure(Failure(code: .agentGone, reason: "the agent is gone"))))
        }
        if let refusal = self.refusal(of: request, from: client, to: agent) {
            return self.perform(answered(.failure(refusal)))
        }
        connection.request(request, timeout: self.limits.openPeerTime).assumeIsolated().whenComplete { answer in
            self.perform(answered(answer.mapError(Self.failure)))
        }
    }

    /// Why a message is not passed on, nil when it is. What the receiver's line has no room for is the sender's loss: more
    /// would cost the receiver its connection.
    func refusal(of body: Envelope.Body, from sender: SessionID, to receiver: SessionID) -> Failure? {
        let size = Envelope(body).encoded().readableBytes
        guard size <= PassOnLimits.maximumMessage else {
            return Failure(
                code: .badRequest,
                reason: "a message of \(size) bytes; at most \(PassOnLimits.maximumMessage) are passed on")
        }
        let pending = self.sessions[receiver]?.connection.pendingBytes ?? 0
        guard pending + size <= PassOnLimits.maximumPending else {
            return Failure(code: .refused, reason: "too much is waiting for the other side")
        }
        guard self.passOnLimits.admit(size, from: sender, to: receiver, at: self.eventLoop.now) else {
            return Failure(code: .refused, reason: "too many messages to pass on")
        }
        return nil
    }

    /// What the client is told when an agent has not answered.
    private static func failure(_ error: any Error) -> Failure {
        switch error {
        case SignalError.failure(let failure):
            failure
        case SignalError.timedOut:
            Failure(code: .timedOut, reason: "the agent did not answer in time")
        case SignalError.connectionLost, SignalError.notConnected:
            Failure(code: .agentGone, reason: "the agent left before it answered")
        case SignalError.tooManyRequests:
            Failure(code: .refused, reason: "the agent has too many open offers")
        case SignalError.tooLong:
            Failure(code: .badRequest, reason: "the offer is longer than a message may be")
        default:
            .unfitAnswer
        }
    }
}

extension Failure {
    static let unfitAnswer = Failure(code: .internal, reason: "the agent's answer does not fit the offer")
}

extension Envelope.Body {
    var openPeerReply: Result<OpenPeerReply, Failure> {
        if case .openPeerReply(let reply) = self { .success(reply) } else { .failure(.unfitAnswer) }
    }

    var restartPeerReply: Result<RestartPeerReply, Failure> {
        if case .restartPeerReply(let reply) = self { .success(reply) } else { .failure(.unfitAnswer) }
    }
}
