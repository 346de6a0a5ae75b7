import AppProto
import Basics
import HostNetwork
import Logging
import NIOCore

/// The loop of a `SignalClient`: connect, prove, serve, wait, connect again. Belongs to its event loop.
final class SignalClientCore {
    enum State {
        case idle
        /// `attempt` tells a link that comes after all from the one that is waited for.
        case connecting(attempt: Int)
        case proving(SignalInitiator)
        case connected(Connected)
        case waiting(Scheduled<Void>)
        /// Refused, and looking whether there is another secret by now.
        case rereading
        case ended
    }

    struct Connected {
        let connection: SignalConnection
        let session: SignalSession
        let since: NIODeadline
        /// How the kernel sent packets to the server then; nil when it did not say.
        let route: NetworkRoute?
    }

    /// A connection that lived this long ends the backoff.
    private static let livedAfter = TimeAmount.seconds(5)
    /// How long the server's own `Goodbye EXPIRED` is waited for.
    private static let expiryGrace = TimeAmount.seconds(2)

    /// How long a file of the secret that cannot be read is left alone.
    private static let rereadPause = TimeAmount.seconds(1)

    /// How long the server may take to give a sign of life after the network has changed. TCP has sent a lost segment again
    /// by then.
    static let checkTime = TimeAmount.seconds(3)

    var delegate: (any SignalClientDelegate)?

    private let configuration: SignalClientConfiguration
    private let connector: any SignalConnector
    private let eventLoop: any EventLoop
    let logger: Logger
    private let timing: SignalConnection.Timing
    private let addressMonitor: AddressMonitor?
    let route: (SocketAddress) -> NetworkRoute?
    private let age: () -> TimeAmount
    private var addressSubscription: AddressSubscription?
    var state = State.idle
    private var attempts = 0
    private var backoff = ReconnectBackoff()
    private var generator = SystemRandomNumberGenerator()
    private var completion: EventLoopPromise<SignalTerminal>?
    /// Succeeds when the server has taken the goodbye, or has had the time to.
    private var farewell: EventLoopFuture<Void>?
    private var log: ConnectionLog
    private var trust: ServerTrust
    private var key: SharedKey
    private var resumeToken: [UInt8] = []
    private var term: RegistrationTerm
    private var expiryTimer: Scheduled<Void>?
    private let bridge: BridgeSender

    /// - Parameters:
    ///   - addressMonitor: who tells of changes of the network; nil: nobody does.
    ///   - route: how the kernel sends packets to an address.
    ///   - age: how old the process is; nil: what its configuration says.
    init(
        configuration: SignalClientConfiguration, connector: any SignalConnector, eventLoop: any EventLoop,
        logger: Logger, timing: SignalConnection.Timing = SignalConnection.Timing(),
        addressMonitor: AddressMonitor? = nil, route: @escaping (SocketAddress) -> NetworkRoute? = NetworkRoute.lookup,
        age: (() -> TimeAmount)? = nil
    ) {
        self.configuration = configuration
        self.trust = ServerTrust(configuration: configuration)
        self.key = configuration.key
        self.connector = connector
        self.eventLoop = eventLoop
        self.logger = logger
        self.log = ConnectionLog(logger: logger, server: configuration.server)
        self.timing = timing
        self.addressMonitor = addressMonitor
        self.route = route
        self.age = age ?? { configuration.process.age }
        self.term = RegistrationTerm(configuration.role.expireIn)
        self.bridge = BridgeSender(eventLoop: eventLoop)
    }

    /// Begins. `completion` is told how it ended.
    func start(_ completion: EventLoopPromise<SignalTerminal>) {
        guard case .idle = self.state else {
            // Stopped before it began.
            return completion.succeed(.stopped)
        }
        self.completion = completion
        for warning in self.configuration.warnings {
            self.logger.warning("\(warning)", metadata: ["server": "\(self.configuration.server)"])
        }
        self.addressSubscription = self.addressMonitor?.subscribe(on: self.eventLoop) { [weak self] change in
            self?.networkChanged(change)
        }
        self.connect()
    }

    /// Ends; the future succeeds once the server has taken the goodbye, or has had the time to. A further call brings the same.
    @discardableResult
    func stop(_ terminal: SignalTerminal = .stopped) -> EventLoopFuture<Void> {
        guard case .connected(let connected) = self.state else {
            self.end(terminal)
            return self.farewell ?? self.eventLoop.makeSucceededVoidFuture()
        }
        let connection = connected.connection
        self.bridge.use(nil)
        connection.delegate = nil
        // The program ends with `run()`; the goodbye must have left by then.
        let closed = self.eventLoop.makePromise(of: Void.self)
        self.farewell = closed.futureResult
        connection.close(
            Goodbye(code: .shutdown, reason: "\(self.configuration.software) stops"), closed: closed)
        self.end(terminal, after: closed.futureResult)
        return closed.futureResult
    }

    var session: SignalSession? {
        guard case .connected(let connected) = self.state else { return nil }
        return connected.session
    }

    func request(_ body: Envelope.Body, timeout: TimeAmount) -> EventLoopFuture<Envelope.Body> {
        guard case .connected(let connected) = self.state else {
            return self.eventLoop.makeFailedFuture(SignalError.notConnected)
        }
        return connected.connection.request(body, timeout: timeout)
    }

    func sendEvent(_ body: Envelope.Body) {
        guard case .connected(let connected) = self.state else { return }
        connected.connection.sendEvent(body)
    }

    func sendBridge(_ bridge: Bridge) {
        self.bridge.send(bridge)
    }

    var bridgeStatistics: BridgeStatistics {
        let drops = self.bridge.drops
        var statistics = BridgeStatistics()
        statistics.sent = self.bridge.sent
        statistics.droppedFull = drops.full
        statistics.droppedTooOld = drops.tooOld
        statistics.droppedWithoutConnection = self.bridge.withoutConnection + drops.ended
        return statistics
    }

    // MARK: One attempt

    private func connect() {
        // The timer stands still while the machine sleeps.
        if self.term.hasEnded(at: self.age()) { return self.end(self.expired) }
        self.attempts += 1
        let attempt = self.attempts
        self.state = .connecting(attempt: attempt)
        self.connector.connect(on: self.eventLoop) { result in
            guard case .connecting(attempt) = self.state else {
                if case .success(let link) = result { link.close() }
                return
            }
            switch result {
            case .success(let link): self.prove(on: link)
            case .failure(let error): self.attemptFailed(error)
            }
        }
    }

    private func prove(on link: any SignalLink) {
        let handshake = {
            ClientHandshake(
                key: self.key, transport: self.transport(of: link), agent: self.registration(),
                identity: self.configuration.identity, software: self.configuration.software,
                isCheck: self.configuration.checkedAgent != nil)
        }
        let initiator = SignalInitiator(link: link, handshake: handshake, timing: self.timing) { result in
            switch result {
            case .success((let connection, let welcome)):
                self.connected(connection, welcome)
            case .failure(.handshake(let error)):
                if error == .timedOut { self.connector.linkFailed(link) }
                self.handshakeFailed(error)
            case .failure(.linkClosed(let error)):
                self.connector.linkFailed(link)
                self.attemptFailed(.disconnected(error.map { "\($0)" } ?? "the server closed it"))
            }
        }
        self.state = .proving(initiator)
        initiator.start()
    }

    private func transport(of link: any SignalLink) -> ClientHandshake.Transport {
        if self.configuration.server.isPlain { return .plain }
        return self.configuration.isInsecure
            ? .uncheckedTLS(exporter: link.channelBinding) : .verifiedTLS(exporter: link.channelBinding)
    }

    /// What an agent asks for at this moment.
    private func registration() -> AgentRegistration? {
        let age = self.age()
        self.term.requested(at: age)
        return self.configuration.registration(
            at: age, for: self.term, resumeToken: self.resumeToken, isReturning: self.trust.hasConnected)
    }

    private func connected(_ connection: SignalConnection, _ welcome: Welcome) {
        let link = connection.link
        let session = SignalSession(
            welcome: welcome, localAddress: link.localAddress, remoteAddress: link.remoteAddress,
            transport: self.configuration.server.endpoints.first { ($0.scheme == .quic) == (link is QUICLink) }?.scheme)
        self.state = .connected(
            Connected(
                connection: connection, session: session, since: self.eventLoop.now,
                route: link.remoteAddress.flatMap(self.route)))
        if welcome.bridge { self.bridge.use(connection) }
        self.trust.hasConnected = true
        self.resumeToken = welcome.resumeToken
        self.startExpiry()
        self.log.connected(session, at: self.eventLoop.now)
        self.delegate?.signalConnected(session)
        connection.delegate = self
        connection.start()
    }

    // MARK: Trouble

    private func handshakeFailed(_ error: HandshakeError) {
        let verdict = self.trust.verdict(on: error)
        guard error.concernsSecret else { return self.carryOut(verdict) }
        self.lookForSecret(otherwise: verdict)
    }

    private func carryOut(_ verdict: ServerTrust.Verdict) {
        switch verdict {
        case .end(let terminal): self.end(terminal)
        case .retry(let error): self.attemptFailed(error)
        }
    }

    /// Goes on with the secret that is in its file by now, if that is another one. A file that cannot be read for a moment,
    /// as while it is being replaced, is read again.
    private func lookForSecret(otherwise verdict: ServerTrust.Verdict, triesLeft: Int = 2) {
        guard let currentKey = self.configuration.currentKey else { return self.carryOut(verdict) }
        self.state = .rereading
        currentKey(self.eventLoop).assumeIsolated().whenComplete { result in
            guard case .rereading = self.state else { return }
            guard let key = try? result.get() else {
                guard triesLeft > 0 else { return self.carryOut(verdict) }
                self.eventLoop.assumeIsolated().scheduleTask(in: Self.rereadPause) {
                    guard case .rereading = self.state else { return }
                    self.lookForSecret(otherwise: verdict, triesLeft: triesLeft - 1)
                }
                return
            }
            guard key.id != self.key.id else { return self.carryOut(verdict) }
            self.key = key
            self.log.rereadSecret()
            self.retryNow()
        }
    }

    private func attemptFailed(_ error: SignalConnectError) {
        self.log.attemptFailed(error, retryingIn: self.retryLater(), at: self.eventLoop.now)
        self.delegate?.signalAttemptFailed(error)
    }

    /// Ends the backoff: what stood in the way may be gone.
    func retryNow() {
        if case .waiting(let retry) = self.state { retry.cancel() }
        self.backoff.reset()
        self.connect()
    }

    private func retryLater() -> TimeAmount {
        let wait = self.backoff.next(using: &self.generator)
        self.state = .waiting(self.eventLoop.assumeIsolated().scheduleTask(in: wait) { self.connect() })
        return wait
    }

    // MARK: Expiry

    /// The time runs from the request that the server has taken first, and not anew from a later one.
    private func startExpiry() {
        guard self.term.accepted(), let remaining = self.term.remaining(at: self.age()) else { return }
        self.armExpiryTimer(in: remaining)
    }

    private func armExpiryTimer(in time: TimeAmount) {
        self.expiryTimer = self.eventLoop.assumeIsolated().scheduleTask(in: time) {
            // The server says so itself when it can be heard.
            let left = (self.term.remaining(at: self.age()) ?? .zero) + Self.expiryGrace
            if case .connected = self.state, left > .zero { return self.armExpiryTimer(in: left) }
            self.end(self.expired)
        }
    }

    private var expired: SignalTerminal { .expired(name: self.configuration.role.agentName) }

    // MARK: The end

    private func end(_ terminal: SignalTerminal, after farewell: EventLoopFuture<Void>? = nil) {
        switch self.state {
        case .ended:
            return
        case .idle, .connecting, .rereading:
            break
        case .proving(let initiator):
            initiator.cancel()
        case .connected(let connected):
            connected.connection.delegate = nil
            connected.connection.close()
        case .waiting(let retry):
            retry.cancel()
        }
        self.state = .ended
        self.addressSubscription = nil
        self.bridge.use(nil)
        self.expiryTimer?.cancel()
        self.expiryTimer = nil
        self.delegate = nil
        guard let completion = self.completion else { return }
        self.completion = nil
        guard let farewell else { return completion.succeed(terminal) }
        farewell.whenComplete { _ in completion.succeed(terminal) }
    }
}

@available(*, unavailable)
extension SignalClientCore: Sendable {}

extension SignalClientCore: SignalConnectionDelegate {
    func connection(_ connection: SignalConnection, received request: SignalRequest) {
        if let delegate = self.delegate {
            delegate.signalReceived(request)
        } else {
            request.failUnsupported()
        }
    }

    func connection(_ connection: SignalConnection, receivedEvent event: Envelope.Body) {
        self.delegate?.signalReceived(event: event)
    }

    func connectionBecameWritable(_ connection: SignalConnection) {
        self.bridge.drain()
    }

    func connectionClosed(_ connection: SignalConnection, reason: SignalCloseReason) {
        guard case .connected(let connected) = self.state else { return }
        self.bridge.use(nil)
        if case .goodbye(let goodbye) = reason, let terminal = self.trust.terminal(for: goodbye) {
            guard goodbye.code == .auth, self.configuration.currentKey != nil else { return self.end(terminal) }
            self.log.lost(reason, retryingIn: .zero, at: self.eventLoop.now)
            self.delegate?.signalLost()
            return self.lookForSecret(otherwise: .end(terminal))
        }
        if reason.isSilence { self.connector.linkFailed(connection.link) }
        var wait = TimeAmount.zero
        switch reason {
        case .networkChanged, .unanswered:
            self.retryNow()
        case .goodbye, .silent, .linkClosed, .protocolViolation, .closedHere:
            if self.eventLoop.now - connected.since >= Self.livedAfter {
                self.backoff.reset()
            }
            wait = self.retryLater()
        }
        self.log.lost(reason, retryingIn: wait, at: self.eventLoop.now)
        self.delegate?.signalLost()
    }
}
