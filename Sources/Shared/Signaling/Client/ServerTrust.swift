import AppProto

/// What becomes of a server's no, or of a server that cannot prove the secret: whether to try again, how far its word counts,
/// and what a person is told.
struct ServerTrust {
    /// What to do about a handshake that failed.
    enum Verdict {
        case end(SignalTerminal)
        case retry(SignalConnectError)
    }

    let configuration: SignalClientConfiguration
    /// Whether a server has proved the secret to this process.
    var hasConnected = false

    init(configuration: SignalClientConfiguration) {
        self.configuration = configuration
    }

    func verdict(on error: HandshakeError) -> Verdict {
        switch error {
        case .refused(let goodbye):
            if let terminal = self.terminal(for: goodbye), self.isBelieved(beforeProof: goodbye) {
                return .end(terminal)
            }
            return .retry(.turnedAway("\(SignalCloseReason.goodbye(goodbye))"))
        case .proofFailed:
            return self.refusal(
                """
                refused \(self.configuration.server): the server could not prove that it knows the shared secret; \
                either it has another secret (check \(self.sourceOfSecret)), or there is a man in the middle
                """)
        case .bindingUnavailable(let detail):
            return self.refusal(
                """
                refused \(self.configuration.server): the handshake cannot be bound to the connection, so there \
                could be a man in the middle: \(detail)
                """)
        case .keyRefused(let detail):
            // Only servers judge keys.
            return .retry(.notAServer(detail))
        case .versionMismatch, .secretOfOtherRole:
            return .retry(.turnedAway("\(error)"))
        case .protocolViolation(let detail):
            return .retry(.notAServer(detail))
        case .timedOut:
            return .retry(.timedOut(.handshake))
        }
    }

    private func refusal(_ detail: String) -> Verdict {
        self.isServerKnown || !self.hasConnected
            ? .end(.refused(detail: detail)) : .retry(.turnedAway(detail))
    }

    /// What a person has given the secret with.
    private var sourceOfSecret: String {
        if case .link = self.configuration.server { "the link" } else { "--secret" }
    }

    /// Whether the server's certificate is checked, so that even before its proof nobody else can speak in its place.
    private var isServerKnown: Bool {
        !self.configuration.server.isPlain && !self.configuration.isInsecure
    }

    /// Whether to end on a `Goodbye` that came before the server's proof.
    ///
    /// With an unchecked certificate anybody on the way can say it, once, and an agent that ran well would be gone for good.
    /// At the first attempt a person is there to read what is wrong; after that it is tried again. What ends an agent that
    /// comes back (replaced, expired, its name held by another key, its key not listed) a server says after its proof, and what
    /// ends a client for its key in any case.
    private func isBelieved(beforeProof goodbye: Goodbye) -> Bool {
        if self.isServerKnown { return true }
        return !self.hasConnected && [.auth, .binding, .nameHeld, .keyUnknown, .replaced].contains(goodbye.code)
    }

    private static let keyAdvice =
        "; keep the key in a file first, with --identity: without it the next start has another one"

    /// What a `Goodbye` that came with or behind the proof ends the program with; nil when its reason can pass.
    func terminal(for goodbye: Goodbye) -> SignalTerminal? {
        let words = goodbye.reason.isEmpty ? "" : " (\(goodbye.reason))"
        switch goodbye.code {
        case .auth:
            let hint =
                self.configuration.isInsecure
                ? "the secret is wrong (check \(self.sourceOfSecret)), or a man in the middle shows another certificate"
                : "the secret is wrong (check \(self.sourceOfSecret)), or there is a man in the middle"
            return .refused(detail: "refused by \(self.configuration.server)\(words): \(hint)")
        case .binding:
            return .refused(
                detail: """
                    refused by \(self.configuration.server)\(words): the handshake is bound to another connection than the \
                    server's; there is a proxy that terminates TLS, or a man in the middle
                    """)
        case .replaced:
            return .replaced(name: self.configuration.role.agentName)
        case .expired:
            return .expired(name: self.configuration.role.agentName)
        case .nameHeld:
            return .refused(
                detail: """
                    refused by \(self.configuration.server)\(words): give this agent a name of its own with --agent, or, if it \
                    takes the place of the other one, its key with --identity
                    """)
        case .keyUnknown:
            return .keyUnknown(
                detail: """
                    refused by \(self.configuration.server)\(words): to let this program in, that file needs the line \
                    "\(self.configuration.lineOfKey)"\(self.configuration.identity?.isKept == true ? "" : Self.keyAdvice)
                    """)
        case .unspecified, .version, .badRequest, .shutdown, .limit:
            return nil
        }
    }
}
