import AppProto
import Logging
import Signaling

/// What becomes of sessions when secrets change.
extension SignalService {
    static let withdrawn = Goodbye(code: .auth, reason: "the secret is no longer valid")

    /// Lets the holders of `secrets` in from now on, and ends the sessions of those that are none of them. Returns how many.
    func change(to secrets: AcceptedSecrets) -> Int {
        self.admission.secrets = secrets
        let ended = self.sessions.values.filter { session in
            !secrets.accepts(session.secret, for: session.role)
        }
        for session in ended {
            self.passOnLimits.remove(session.id)
            self.sessions[session.id] = nil
            self.bridge?.sessionEnded(session.id)
            session.connection.close(Self.withdrawn)
            self.logger.info(
                "session closed: its secret is gone",
                metadata: [
                    "event": "session.closed", "session": .stringConvertible(session.id.rawValue),
                    "reason": "secret_gone",
                ])
            self.perform(self.broker.sessionClosed(session.id, .disconnected))
        }
        return ended.count
    }
}
