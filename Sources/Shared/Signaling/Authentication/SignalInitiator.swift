import AppProto
import NIOCore

/// The agent's or client's side of the handshake on one link: from the server's first message to an authenticated connection.
///
/// Belongs to the link's event loop, and lives as long as the link or its timer needs it.
final class SignalInitiator {
    /// Why it came to nothing.
    enum Failure: Error {
        case handshake(HandshakeError)
        /// The link was lost; nil when the server closed it in order.
        case linkClosed((any Error)?)
    }

    private let link: any SignalLink
    private let timing: SignalConnection.Timing
    private let makeHandshake: () -> ClientHandshake
    private lazy var handshake = self.makeHandshake()
    private var timer: Scheduled<Void>?
    private var completion: ((Result<(SignalConnection, Welcome), Failure>) -> Void)?

    /// `completion` is called once. Then set the connection's delegate, and start it. `handshake` is called when the server's
    /// first word has come, for which it may let one wait: what it says of the time is true then.
    init(
        link: any SignalLink, handshake: @escaping () -> ClientHandshake, timing: SignalConnection.Timing,
        completion: @escaping (Result<(SignalConnection, Welcome), Failure>) -> Void
    ) {
        self.link = link
        self.makeHandshake = handshake
        self.timing = timing
        self.completion = completion
    }

    /// Waits for the server to begin.
    func start() {
        self.timer = self.link.eventLoop.assumeIsolated().scheduleTask(in: Handshake.timeLimit) {
            self.fail(.handshake(.timedOut))
        }
        self.link.delegate = self
    }

    /// Gives up without a word; `completion` is not called.
    func cancel() {
        self.completion = nil
        self.stopWaiting()
        self.link.close()
    }

    /// From here on the link's messages wait for the connection's delegate.
    private func stopWaiting() {
        self.timer?.cancel()
        self.timer = nil
        self.link.delegate = nil
    }

    private func fail(_ failure: Failure) {
        self.stopWaiting()
        self.link.close()
        self.complete(.failure(failure))
    }

    private func complete(_ result: Result<(SignalConnection, Welcome), Failure>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}

@available(*, unavailable)
extension SignalInitiator: Sendable {}

extension SignalInitiator: SignalLinkDelegate {
    func link(_ link: any SignalLink, received message: ByteBuffer) {
        let envelope: Envelope
        do throws(AppProtoError) {
            envelope = try Envelope(decoding: message)
        } catch {
            return self.fail(.handshake(.protocolViolation("\(error)")))
        }
        switch self.handshake.receive(envelope) {
        case .send(let answer):
            link.send(answer.encoded())
        case .established(let welcome):
            self.stopWaiting()
            let connection = SignalConnection(link: link, side: .peer, timing: self.timing)
            self.complete(.success((connection, welcome)))
        case .failed(let error):
            self.fail(.handshake(error))
        }
    }

    func linkClosed(_ link: any SignalLink, error: (any Error)?) {
        self.fail(.linkClosed(error))
    }
}
