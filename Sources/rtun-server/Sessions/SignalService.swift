import AppProto
import Basics
import CommandSupport
import Logging
import NIOCore
import Signaling

/// Carries out what the broker decides: keeps the sessions, the time and the log.
///
/// Belongs to one event loop, on which all links of the server live.
final class SignalService {
    let eventLoop: any EventLoop
    /// What tokens are made with; nil: keys that come of the secrets.
    private let ownKey: ServerKey?
    /// What resume tokens are sealed with, whatever becomes of the secrets.
    private let resumeKey: ServerKey
    let admission: Admission
    var greeting: Greeting
    let limits: ServerLimits
    let logger: Logger
    var broker: Broker
    /// nil when nothing is carried between peers.
    private(set) var bridge: BridgeForwarder?
    var sessions: [SessionID: Session] = [:]
    private var nextSession: UInt64 = 1
    var keyRefusals = KeyRefusals()
    var passOnLimits = PassOnLimits()
    private var expiryTimer: (at: UInt64, timer: Scheduled<Void>)?
    private(set) var isStopping = false

    /// `bridge`: what is carried between peers; nil: nothing.
    init(
        eventLoop: any EventLoop, secrets: AcceptedSecrets, ownKey: ServerKey?, software: String, limits: ServerLimits,
        bridge: BridgeScheduler.Limits?, keys: AuthorizedKeys? = nil, logger: Logger
    ) {
        self.broker = Broker(bridges: bridge != nil, keys: keys)
        self.eventLoop = eventLoop
        self.ownKey = ownKey
        self.resumeKey = ownKey ?? secrets.serverKey
        self.admission = Admission(eventLoop: eventLoop, secrets: secrets, software: software, logger: logger)
        self.greeting = Greeting(software: software, bridges: bridge != nil)
        self.limits = limits
        self.logger = logger
        self.bridge = bridge.map { limits in
            BridgeForwarder(eventLoop: eventLoop, limits: limits) { [unowned self] in self.sessions[$0]?.connection }
        }
    }

    /// Other rates for what is carried between peers, if anything is.
    func changeBridge(to limits: BridgeScheduler.Limits) { self.bridge?.change(to: limits) }

    /// The registered agents, those that clients prefer first.
    var agents: [AgentInfo] { self.broker.agents }

    var sessionCount: Int { self.sessions.count }

    /// Whether `token` may read the list of sessions now.
    ///
    /// Where keys are listed a secret alone opens nothing, so that a token cannot be made from one.
    func isAuthorized(sessionsToken token: String) -> Bool {
        let keys = self.ownKey.map { [$0] } ?? (self.broker.listsKeys ? [] : self.admission.secrets.tokenKeys)
        return keys.contains { SessionsToken.isValid(token, now: UnixTime.seconds, key: $0) }
    }

    // MARK: Handshake

    /// Takes over a new link.
    ///
    /// - Parameters:
    ///   - role: the only role allowed on it, `nil` for either.
    ///   - isEncrypted: whether this process terminates TLS for it.
    ///   - isForwarded: whether a trusted proxy has told the peer's own address.
    ///   - authenticated: called when the peer has proved the secret.
    func accept(
        _ link: any SignalLink, role: Role?, isEncrypted: Bool, isForwarded: Bool = false,
        authenticated: @escaping () -> Void = {}
    ) {
        guard !self.isStopping else { return Admission.turnAway(link, Self.stopping) }
        self.admission.meet(link, isEncrypted: isEncrypted, isForwarded: isForwarded) { acceptor, peer in
            authenticated()
            self.admitted(acceptor, peer, allowedRole: role)
        }
    }

    private static let stopping = Goodbye(code: .shutdown, reason: "the server is stopping")

    private func admitted(_ acceptor: SignalAcceptor, _ peer: ProvedPeer, allowedRole: Role?) {
        let hello = peer.hello
        guard !self.isStopping else { return acceptor.refuse(Self.stopping) }
        // They may have changed since its handshake began.
        let secrets = self.admission.secrets
        guard let secret = acceptor.secret, let role = hello.roles.first(where: { secrets.accepts(secret, for: $0) })
        else {
            return acceptor.refuse(Self.withdrawn)
        }
        guard allowedRole == nil || allowedRole == hello.role else {
            return acceptor.refuse(
                Goodbye(code: .badRequest, reason: "agents connect to /pub/ws, clients to /sub/ws"))
        }
        let id = SessionID(self.nextSession)
        self.nextSession += 1
        let address = acceptor.link.remoteAddress?.authority ?? ""
        if let agent = hello.agent {
            self.register(agent, peer, acceptor, Newcomer(id: id, secret: secret, role: .agent, address: address))
        } else {
            let refusal = self.refusal(of: peer, from: address)
            guard let connection = acceptor.welcome(self.greeting.welcome(from: address)) else { return }
            // It has heard our proof first, as an agent that comes back does.
            if let refusal { return connection.close(refusal.goodbye) }
            // With an agent's secret or key somebody looks whether it would get in, and is nobody to the broker.
            if role == .client, self.broker.refusal(of: PeerClaim(role: .client, key: peer.key)) == nil {
                self.broker.addClient(id, key: peer.key, address: address)
            }
            self.begin(Newcomer(id: id, secret: secret, role: role, address: address), connection, hello)
            self.logger.info(
                "client connected",
                metadata: [
                    "event": "client.connected", "session": .stringConvertible(id.rawValue), "remote": "\(address)",
                    "software": "\(hello.software)", "key": "\(peer.key.words)",
                ])
        }
    }

    /// What is known of a session that begins.
    private struct Newcomer {
        let id: SessionID
        let secret: SecretID
        let role: Role
        let address: String
    }

    private func register(
        _ agent: AgentRegistration, _ peer: ProvedPeer, _ acceptor: SignalAcceptor, _ newcomer: Newcomer
    ) {
        let (id, address) = (newcomer.id, newcomer.address)
        let claim = Claim(of: agent, key: peer.key, openingWith: self.resumeKey)
        if let refusal = self.refusal(of: peer, from: address) {
            return self.refuse(refusal.goodbye, agent, claim, acceptor, address)
        }
        let registration = self.broker.addAgent(
            agent, claim: claim, newID: .random(), session: id, address: address, software: peer.hello.software,
            now: Moment(unixMilliseconds: UnixTime.milliseconds, deadline: self.eventLoop.now))
        switch registration {
        case .refused(let goodbye):
            self.logger.warning(
                "an agent is refused",
                metadata: [
                    "event": goodbye.code == .nameHeld ? "auth.failed" : "agent.refused",
                    "reason": goodbye.code == .nameHeld ? "name_not_yours" : "\(goodbye.code)",
                    "agent": "\(agent.name)", "remote": "\(address)", "key": "\(peer.key.words)",
                    "detail": "\(goodbye.reason)",
                ])
            self.refuse(goodbye, agent, claim, acceptor, address)
        case .registered(let info, let token, let actions):
            let welcome = self.greeting.welcome(
                from: address,
                as: Greeting.Registration(
                    instanceID: info.instanceID, name: info.name, expireAtMilliseconds: info.expireAtMilliseconds,
                    resumeToken: token?.sealed(name: info.name, with: self.resumeKey) ?? []))
            self.perform(actions)
            guard let connection = acceptor.welcome(welcome) else {
                return self.perform(self.broker.sessionClosed(id))
            }
            self.begin(newcomer, connection, peer.hello)
            self.expectExpiry(at: info.expireAtMilliseconds)
            self.logger.info(
                claim.isReturning ? "agent is back" : "agent registered",
                metadata: [
                    "event": "agent.registered", "agent": "\(info.name)", "instance": "\(info.instanceID)",
                    "session": .stringConvertible(id.rawValue), "remote": "\(address)",
                    "software": "\(peer.hello.software)", "key": "\(peer.key.words)",
                ])
        }
    }

    /// Sends an agent away. One that comes back hears our proof first: it ends for good then, and must not do so on the
    /// word of whoever answers in our place.
    private func refuse(
        _ goodbye: Goodbye, _ agent: AgentRegistration, _ claim: Claim, _ acceptor: SignalAcceptor, _ address: String
    ) {
        guard claim.isReturning, let instanceID = claim.instanceID else { return acceptor.refuse(goodbye) }
        let welcome = self.greeting.welcome(
            from: address,
            as: Greeting.Registration(
                instanceID: instanceID, name: agent.name, expireAtMilliseconds: 0, resumeToken: agent.resumeToken))
        acceptor.welcome(welcome)?.close(goodbye)
    }

    private func begin(_ newcomer: Newcomer, _ connection: SignalConnection, _ hello: Hello) {
        let peer = Session.Peer(
            role: hello.role, address: newcomer.address, software: hello.software, since: UnixTime.milliseconds)
        let session = Session(
            id: newcomer.id, peer: peer, connection: connection, secret: newcomer.secret, role: newcomer.role,
            service: self)
        self.sessions[newcomer.id] = session
        connection.delegate = session
        connection.start()
    }

    // MARK: What sessions tell

    /// An answer that a client leaves untaken, in bytes: another list waits for it to be.
    private static let maximumUntakenList = 64 * 1024

    func received(request: Envelope.Body, id: UInt64, from session: Session) {
        if case .listAgents = request, session.connection.pendingBytes > Self.maximumUntakenList {
            // One list is on its way.
            return session.respond(to: id, .failure(Failure(code: .refused, reason: "read the previous answer first")))
        }
        self.perform(self.broker.received(request: request, id: id, from: session.id, at: self.eventLoop.now))
    }

    func received(_ bridge: Bridge, from session: Session) {
        // A session that is closed for its end is in the table no more, and what it still says is of no account.
        let bridging = self.broker.bridge(
            bridge.peerID, size: bridge.datagrams.readableBytes, from: session.id, at: self.eventLoop.now)
        self.bridge?.received(bridge, bridging)
    }

    func hasBridgeRoom(_ session: Session) {
        self.bridge?.linkHasRoom(session.id)
    }

    func received(event: Envelope.Body, from session: Session) {
        self.perform(self.broker.received(event: event, from: session.id))
    }

    func ended(_ session: Session, _ reason: SignalCloseReason) {
        self.bridge?.sessionEnded(session.id)
        self.passOnLimits.remove(session.id)
        guard self.sessions.removeValue(forKey: session.id) != nil else { return }
        self.logger.info(
            "control connection closed",
            metadata: [
                "event": "session.closed", "session": .stringConvertible(session.id.rawValue),
                "remote": "\(session.connection.link.remoteAddress?.authority ?? "")", "reason": "\(reason)",
            ])
        self.perform(self.broker.sessionClosed(session.id, reason.isShutdown ? .stopped : .disconnected))
    }

    // MARK: What the broker wants

    func perform(_ actions: [Broker.Action]) {
        self.ended(self.broker.takeEndedRoutes())
        for action in actions {
            switch action {
            case .send(let id, let body):
                self.sessions[id]?.connection.sendEvent(body)
            case .passOn(let sender, let receiver, let body):
                // The end of a channel is said once, and frees a place.
                if case .closePeer = body {} else if self.refusal(of: body, from: sender, to: receiver) != nil { break }
                self.sessions[receiver]?.connection.sendEvent(body)
            case .respond(let id, let requestID, let body):
                self.sessions[id]?.respond(to: requestID, body)
            case .forward(let id, let offer, let ticket):
                self.forward(.openPeer(offer), from: ticket.client, to: id) { answer in
                    self.broker.openPeerAnswered(ticket, answer.flatMap { $0.openPeerReply })
                }
            case .forwardRestart(let id, let restart, let ticket):
                self.forward(.restartPeer(restart), from: ticket.client, to: id) { answer in
                    self.broker.restartPeerAnswered(ticket, answer.flatMap { $0.restartPeerReply })
                }
            case .close(let id, let goodbye):
                // Out of the table first: the session's own report of its end is then no news.
                self.passOnLimits.remove(id)
                self.sessions.removeValue(forKey: id)?.connection.close(goodbye)
            case .agentGone(let agent, let reason):
                self.logger.info(
                    "agent is gone",
                    metadata: [
                        "event": "agent.gone", "agent": "\(agent.name)", "instance": "\(agent.instanceID)",
                        "reason": "\(reason)",
                    ])
            case .peerOpened(let peer, let account):
                self.logger.info("a client uses an agent", metadata: account.openedMetadata(peer))
            }
        }
    }

    private func ended(_ routes: [PeerRoutes.Ended]) {
        guard !routes.isEmpty else { return }
        self.bridge?.ended(routes)
        for route in routes {
            guard let account = route.account else { continue }
            self.logger.info(
                "a client's use of an agent is over",
                metadata: account.closedMetadata(route.peer, route.reason, at: self.eventLoop.now))
        }
    }

    // MARK: Statistics

    /// Writes down what the bridge has done, if there is one.
    func report() {
        guard let bridge = self.bridge else { return }
        let channels = self.broker.bridgedCount(within: .seconds(10), of: self.eventLoop.now)
        self.logger.info("bridge statistics", metadata: bridge.metadata(channels: channels))
    }

    // MARK: Time

    /// Sees to it that a registration ends in time; `expiry` is Unix time in milliseconds, 0 for never.
    private func expectExpiry(at expiry: UInt64) {
        guard expiry != 0, self.expiryTimer.map({ expiry < $0.at }) ?? true else { return }
        self.expiryTimer?.timer.cancel()
        let now = UnixTime.milliseconds
        // The wall clock may be set in between: look again every minute.
        let wait = min(expiry > now ? expiry - now : 0, 60_000)
        let timer = self.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(wait))) {
            self.expiryTimer = nil
            self.perform(self.broker.expire(now: UnixTime.milliseconds))
            self.expectExpiry(at: self.broker.nextExpiry ?? 0)
        }
        self.expiryTimer = (expiry, timer)
    }

    // MARK: The end

    /// Says goodbye to everybody, and takes no more links.
    func stop() {
        self.isStopping = true
        self.expiryTimer?.timer.cancel()
        self.broker.endAllRoutes()
        self.ended(self.broker.takeEndedRoutes())
        self.bridge?.stop()
        let sessions = self.sessions
        self.sessions = [:]
        for session in sessions.values {
            session.connection.close(Self.stopping)
        }
    }
}

@available(*, unavailable)
extension SignalService: Sendable {}

extension ProvedKey? {
    /// For the log: the fingerprint, or that there is none.
    fileprivate var words: String { self.map { "\($0)" } ?? "none" }
}

extension SignalCloseReason {
    /// Whether the other side said that it stops.
    fileprivate var isShutdown: Bool {
        if case .goodbye(let goodbye) = self { goodbye.code == .shutdown } else { false }
    }
}
