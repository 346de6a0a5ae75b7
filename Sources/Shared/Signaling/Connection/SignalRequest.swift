package import AppProto

/// A request of the other side. It wants exactly one answer, now or later; once the connection is gone an answer has no effect.
package struct SignalRequest {
    /// What is asked.
    package let body: Envelope.Body
    private let id: UInt64
    private let connection: SignalConnection

    init(body: Envelope.Body, id: UInt64, connection: SignalConnection) {
        self.body = body
        self.id = id
        self.connection = connection
    }

    /// Answers.
    package func respond(_ body: Envelope.Body) {
        self.connection.respond(to: self.id, body)
    }

    /// Answers that it failed. `reason` is for people.
    package func fail(_ code: FailureCode, _ reason: String = "") {
        self.connection.respond(to: self.id, .failure(Failure(code: code, reason: reason)))
    }

    /// Answers that this side does not serve such requests.
    package func failUnsupported() {
        self.fail(.unsupported, "this side does not answer such requests")
    }
}

@available(*, unavailable)
extension SignalRequest: Sendable {}
