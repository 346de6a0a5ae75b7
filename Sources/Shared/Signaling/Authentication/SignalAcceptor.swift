package import AppProto
package import NIOCore

/// The server's side of the handshake on one link: from its first message to an authenticated connection.
///
/// Belongs to the link's event loop, and lives as long as the link or its timer needs it. The outcome is told once;
/// after `.success` call `welcome` or `refuse`, at once or a little later: the time limit goes on.
package final class SignalAcceptor {
    /// The link it works on.
    package let link: any SignalLink
    /// Who has proved a secret, or why nobody has.
    package typealias Outcome = Result<ProvedPeer, SignalAcceptError>

    private var handshake: ServerHandshake
    private let admit: () -> Goodbye?
    private var timer: Scheduled<Void>?
    private var outcome: ((SignalAcceptor, Outcome) -> Void)?

    /// `software` is the server's name and version, which the peer is told. The link's own TLS, if any, is bound to.
    /// `admit` is asked when the peer's proof has come: with a `Goodbye` the peer is sent away, its proof unseen.
    package init(
        link: any SignalLink, secrets: AcceptedSecrets, software: String, admit: @escaping () -> Goodbye? = { nil },
        outcome: @escaping (SignalAcceptor, Outcome) -> Void
    ) {
        self.link = link
        self.admit = admit
        self.handshake = ServerHandshake(
            secrets: secrets, transport: link.channelBinding.map { .tls(exporter: $0) } ?? .plain, software: software)
        self.outcome = outcome
    }

    /// The secret that the peer has proved; nil before, and once it has been welcomed.
    package var secret: SecretID? { self.handshake.secret }

    /// Sends the `ServerHello` and waits for the `Hello`.
    package func start() {
        self.timer = self.link.eventLoop.assumeIsolated().scheduleTask(in: Handshake.timeLimit) {
            self.fail(.handshake(.timedOut))
        }
        self.link.send(self.handshake.serverHello.encoded())
        self.link.delegate = self
    }

    /// Completes the handshake. Set the connection's delegate and start it.
    ///
    /// nil when the link was lost in the meantime. `welcome` comes without its MAC.
    package func welcome(_ welcome: Welcome) -> SignalConnection? {
        guard self.timer != nil else { return nil }
        self.stopWaiting()
        self.link.send(self.handshake.seal(welcome).encoded())
        return SignalConnection(link: self.link, side: .server)
    }

    /// Sends the peer away.
    package func refuse(_ goodbye: Goodbye) {
        guard self.timer != nil else { return }
        self.stopWaiting()
        self.close(saying: goodbye)
    }

    private func close(saying goodbye: Goodbye?) {
        if let goodbye {
            self.link.send(Envelope(.goodbye(goodbye)).encoded())
        }
        self.link.close()
    }

    /// From here on the link's messages wait for the delegate to come.
    private func stopWaiting() {
        self.timer?.cancel()
        self.timer = nil
        self.link.delegate = nil
    }

    private func fail(_ error: SignalAcceptError, saying goodbye: Goodbye? = nil) {
        self.stopWaiting()
        self.close(saying: goodbye)
        self.tell(.failure(error))
    }

    private func tell(_ result: Outcome) {
        let outcome = self.outcome
        self.outcome = nil
        outcome?(self, result)
    }
}

@available(*, unavailable)
extension SignalAcceptor: Sendable {}

/// Why a handshake came to nothing on the server's side.
package enum SignalAcceptError: Error, CustomStringConvertible {
    /// The peer's fault, or its wish. `.proofFailed` deserves to be slowed down.
    case handshake(HandshakeError)
    /// `admit` was against it.
    case notAdmitted
    /// The link was lost; nil when the peer closed it in order.
    case linkClosed((any Error)?)

    package var description: String {
        switch self {
        case .handshake(let error): "\(error)"
        case .notAdmitted: "turned away before its proof was checked"
        case .linkClosed(let error?): "the connection was lost during the handshake: \(error)"
        case .linkClosed(nil): "the peer closed the connection during the handshake"
        }
    }
}

extension SignalAcceptor: SignalLinkDelegate {
    package func link(_ link: any SignalLink, received message: ByteBuffer) {
        let envelope: Envelope
        do throws(AppProtoError) {
            envelope = try Envelope(decoding: message)
        } catch {
            return self.fail(
                .handshake(.protocolViolation("\(error)")), saying: Goodbye(code: .badRequest, reason: "\(error)"))
        }
        if case .hello = envelope.body, let goodbye = self.admit() {
            return self.fail(.notAdmitted, saying: goodbye)
        }
        switch self.handshake.receive(envelope) {
        case .authenticated(let peer):
            self.link.peerProved()
            self.tell(.success(peer))
        case .refuse(let goodbye, let error):
            self.fail(.handshake(error), saying: goodbye)
        case .close(let error):
            self.fail(.handshake(error))
        }
    }

    package func linkClosed(_ link: any SignalLink, error: (any Error)?) {
        self.fail(.linkClosed(error))
    }
}
