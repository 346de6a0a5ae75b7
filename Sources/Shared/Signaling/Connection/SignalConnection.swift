package import AppProto
package import NIOCore

/// An authenticated control connection: requests and their answers, events, liveness.
///
/// Both the server and the peers use it. It belongs to the link's event loop. It lives until the link closes, `close` is
/// called, or the other side is silent for too long; exactly one `connectionClosed` tells of the end.
package final class SignalConnection {
    /// Which side of the connection this is; decides the ids of its requests.
    package enum Side: Sendable {
        /// Agents and clients: their requests have odd ids.
        case peer
        /// The server: its requests have even ids.
        case server
    }

    /// What is waited for, and how long.
    package struct Timing: Sendable {
        /// How often a `Ping` is sent.
        package var pingInterval = TimeAmount.seconds(5)
        /// How long the other side may be silent.
        package var deadAfter = TimeAmount.seconds(15)

        package init() {}
    }

    private struct PendingRequest {
        let promise: EventLoopPromise<Envelope.Body>
        let timeout: Scheduled<Void>
    }

    private struct LivenessCheck {
        let asked: NIODeadline
        let timeout: TimeAmount

        var deadline: NIODeadline { self.asked + self.timeout }
    }

    /// How many requests may wait for their answers at a time.
    package static let maximumPendingRequests = 1024

    /// The transport below.
    package let link: any SignalLink
    /// Who hears of requests, events and the end. Held strongly until the connection has closed.
    package var delegate: (any SignalConnectionDelegate)?
    /// Whether `close` was called or the connection lost.
    package private(set) var isClosed = false

    private let side: Side
    private let timing: Timing
    private var nextID: UInt64
    private var pending: [UInt64: PendingRequest] = [:]
    private var nextPing: NIODeadline
    /// The sign of life that is waited for, if one is.
    private var check: LivenessCheck?
    private var timer: Scheduled<Void>?
    /// Datagrams of peer channels that have come in this turn of the loop.
    private var bridged = BridgeGatherer()

    /// Takes over a link whose handshake is complete.
    package init(link: any SignalLink, side: Side, timing: Timing = Timing()) {
        self.link = link
        self.side = side
        self.timing = timing
        self.nextID = side == .peer ? 1 : 2
        self.nextPing = link.eventLoop.now + timing.pingInterval
    }

    /// Starts to deliver what arrives. Set `delegate` first.
    package func start() {
        guard !self.isClosed else { return }
        self.armTimer()
        self.link.delegate = self
    }

    /// Sends a request and waits for its answer. Fails with `SignalError`.
    package func request(_ body: Envelope.Body, timeout: TimeAmount) -> EventLoopFuture<Envelope.Body> {
        let eventLoop = self.link.eventLoop
        guard !self.isClosed else {
            return eventLoop.makeFailedFuture(SignalError.notConnected)
        }
        guard self.pending.count < Self.maximumPendingRequests else {
            return eventLoop.makeFailedFuture(SignalError.tooManyRequests)
        }
        let id = self.nextID
        let message = Envelope(id: id, body).encoded()
        // A request that is passed on may be longer than the one that came: its id is another.
        guard message.readableBytes <= SignalLinkLimits.maximumMessageSize else {
            return eventLoop.makeFailedFuture(SignalError.tooLong)
        }
        self.nextID &+= 2
        let promise = eventLoop.makePromise(of: Envelope.Body.self)
        let scheduled = eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.finish(id, .failure(SignalError.timedOut(after: timeout)))
        }
        self.pending[id] = PendingRequest(promise: promise, timeout: scheduled)
        self.link.send(message)
        return promise.futureResult
    }

    func respond(to id: UInt64, _ body: Envelope.Body) {
        guard !self.isClosed else { return }
        let message = Envelope(id: id, body).encoded()
        guard message.readableBytes <= SignalLinkLimits.maximumMessageSize else {
            return self.respond(
                to: id, .failure(Failure(code: .internal, reason: "the answer is longer than a message may be")))
        }
        self.link.send(message)
    }

    /// Sends an event.
    package func sendEvent(_ body: Envelope.Body) {
        guard !self.isClosed else { return }
        self.link.send(Envelope(body).encoded())
    }

    /// Asks the other side for a sign of life. When not a byte comes within `timeout`, the connection ends as
    /// `.unanswered`. Without effect before `start()`.
    package func check(within timeout: TimeAmount) {
        guard !self.isClosed, self.timer != nil else { return }
        let now = self.link.eventLoop.now
        self.sendEvent(.ping)
        // Asking again is no reason to wait longer.
        if self.check.map({ self.link.lastReceived >= $0.asked }) ?? true {
            self.check = LivenessCheck(asked: now, timeout: timeout)
        }
        // Sending may have found that the peer does not read, which ends the connection.
        guard !self.isClosed else { return }
        self.timer?.cancel()
        self.armTimer()
    }

    /// Gives the connection up because of what has become of the network. The delegate hears `.networkChanged`.
    ///
    /// - Parameter detail: what that is, for people.
    package func abandon(_ detail: String) {
        self.end(.networkChanged(detail), saying: nil)
    }

    /// Whether there is room for datagrams of peer channels; the delegate is told when there is again.
    package var hasBridgeRoom: Bool {
        !self.isClosed && self.link.hasRoom
    }

    /// Sends datagrams of a peer channel, which may get lost: look at `hasBridgeRoom` first, and call `flushBridge` after
    /// the last of several. They go in as many messages as the link carries well.
    package func sendBridge(_ bridge: Bridge) {
        guard !self.isClosed else { return }
        let size = self.link.preferredUnreliableSize - Bridge.envelopeOverhead
        var rest = bridge
        while let part = rest.popFirst(atMost: size) {
            self.link.sendUnreliably(part.envelope())
        }
    }

    /// Lets go what `sendBridge` has been given.
    package func flushBridge() {
        guard !self.isClosed else { return }
        self.link.flush()
    }

    /// Bytes that have not left the process yet; a connection that is closed goes on sending them for a while.
    package var pendingBytes: Int { self.link.pendingBytes }

    /// Closes the connection, after a `Goodbye` if there is something to say. The delegate hears `.closedHere`; `closed`
    /// succeeds when the other side has taken it, or has had the time to.
    package func close(_ goodbye: Goodbye? = nil, closed: EventLoopPromise<Void>? = nil) {
        self.end(.closedHere, saying: goodbye, closed)
    }
}

@available(*, unavailable)
extension SignalConnection: Sendable {}

/// Who hears of a connection's requests, events and end.
package protocol SignalConnectionDelegate: AnyObject {
    /// A request, which wants an answer.
    func connection(_ connection: SignalConnection, received request: SignalRequest)
    /// An event.
    func connection(_ connection: SignalConnection, receivedEvent event: Envelope.Body)
    /// `hasBridgeRoom` has become true again.
    func connectionBecameWritable(_ connection: SignalConnection)
    /// The connection is over; said once.
    func connectionClosed(_ connection: SignalConnection, reason: SignalCloseReason)
}

extension SignalConnectionDelegate {
    package func connectionBecameWritable(_ connection: SignalConnection) {}
}

// MARK: - What arrives

extension SignalConnection: SignalLinkDelegate {
    package func link(_ link: any SignalLink, received message: ByteBuffer) {
        guard !self.isClosed else { return }
        if let bridge = Bridge(envelope: message) { return self.gather(bridge) }
        let envelope: Envelope
        do {
            envelope = try Envelope(decoding: message)
        } catch {
            return self.violation("\(error)")
        }
        switch (envelope.body, envelope.id) {
        case (.ping, let id):
            self.respond(to: id, .pong)
        case (.pong, _):
            break  // Its bytes have been counted; that is all it is for.
        case (.goodbye(let goodbye), _):
            self.end(.goodbye(goodbye), saying: nil)
        case (.serverHello, _), (.hello, _), (.welcome, _):
            self.violation("a handshake message after the handshake")
        case (nil, 0):
            break  // An event of a later version.
        case (nil, let id):
            // An unknown answer to one of our requests, or an unknown request: our own ids have our parity.
            if self.isOwn(id) {
                self.finish(id, .failure(SignalError.unexpectedAnswer))
            } else {
                let failure = Failure(code: .unsupported, reason: "this version does not know the request")
                self.respond(to: id, .failure(failure))
            }
        case (.bridge(let bridge), 0):
            self.gather(bridge)
        case (let body?, 0):
            self.delegate?.connection(self, receivedEvent: body)
        case (.failure(let failure), let id):
            self.finish(id, .failure(SignalError.failure(failure)))
        case (let body?, let id):
            if body.isAnswer {
                self.finish(id, .success(body))
            } else {
                self.delegate?.connection(self, received: SignalRequest(body: body, id: id, connection: self))
            }
        }
    }

    /// Only datagrams of peer channels come apart from the rest. Anything else, or anything wrong, is of no account:
    /// whatever matters comes in order.
    package func link(_ link: any SignalLink, receivedUnreliable message: ByteBuffer) {
        guard !self.isClosed else { return }
        if let bridge = Bridge(envelope: message) {
            self.gather(bridge)
        } else if let envelope = try? Envelope(decoding: message), envelope.id == 0,
            case .bridge(let bridge)? = envelope.body
        {
            self.gather(bridge)
        }
    }

    /// What comes together is passed on together, at the end of this turn of the loop at the latest. Other messages of the turn
    /// overtake it.
    private func gather(_ bridge: Bridge) {
        let isFirst = self.bridged.isEmpty
        if let earlier = self.bridged.append(bridge) {
            self.delegate?.connection(self, receivedEvent: .bridge(earlier))
        }
        guard isFirst else { return }
        self.link.eventLoop.assumeIsolated().execute {
            self.passOn()
        }
    }

    private func passOn() {
        for bridge in self.bridged.takeAll() { self.delegate?.connection(self, receivedEvent: .bridge(bridge)) }
    }

    package func linkBecameWritable(_ link: any SignalLink) {
        guard !self.isClosed else { return }
        self.delegate?.connectionBecameWritable(self)
    }

    package func linkClosed(_ link: any SignalLink, error: (any Error)?) {
        self.end(.linkClosed(error), saying: nil)
    }

    private func violation(_ what: String) {
        self.end(.protocolViolation(what), saying: Goodbye(code: .badRequest, reason: what))
    }

    private func isOwn(_ id: UInt64) -> Bool {
        (id & 1 == 1) == (self.side == .peer)
    }

    /// Late answers find nothing here and are dropped: their requests have timed out.
    private func finish(_ id: UInt64, _ result: Result<Envelope.Body, any Error>) {
        guard let request = self.pending.removeValue(forKey: id) else { return }
        request.timeout.cancel()
        request.promise.completeWith(result)
    }

    private func end(
        _ reason: SignalCloseReason, saying goodbye: Goodbye?, _ closed: EventLoopPromise<Void>? = nil
    ) {
        guard !self.isClosed else {
            closed?.succeed()
            return
        }
        self.isClosed = true
        // Also the last datagrams of channels: the other side may have closed them before it left.
        self.passOn()
        self.timer?.cancel()
        self.timer = nil
        if let goodbye {
            self.link.send(Envelope(.goodbye(goodbye)).encoded())
        }
        self.link.delegate = nil
        self.link.close(closed)
        let pending = self.pending
        self.pending = [:]
        for request in pending.values {
            request.timeout.cancel()
            request.promise.fail(SignalError.connectionLost(reason))
        }
        let delegate = self.delegate
        self.delegate = nil
        delegate?.connectionClosed(self, reason: reason)
    }
}

// MARK: - Liveness

extension SignalConnection {
    private var deadAt: NIODeadline {
        self.link.lastReceived + self.timing.deadAfter
    }

    private func armTimer() {
        let deadline = min(self.nextPing, self.deadAt, self.check?.deadline ?? .distantFuture)
        self.timer = self.link.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.timerFired()
        }
    }

    private func timerFired() {
        guard !self.isClosed else { return }
        let now = self.link.eventLoop.now
        if now >= self.deadAt {
            return self.end(.silent(self.timing.deadAfter), saying: nil)
        }
        if let check = self.check, now >= check.deadline {
            guard self.link.lastReceived >= check.asked else {
                return self.end(.unanswered(check.timeout), saying: nil)
            }
            self.check = nil
        }
        if now >= self.nextPing {
            self.nextPing = now + self.timing.pingInterval
            self.sendEvent(.ping)
        }
        // Sending may have found that the peer does not read, which ends the connection.
        if !self.isClosed {
            self.armTimer()
        }
    }
}

extension Envelope.Body {
    /// Whether this answers a request rather than being one.
    fileprivate var isAnswer: Bool {
        switch self {
        case .pong, .failure, .agentList, .bound, .openPeerReply, .restartPeerReply: true
        case .serverHello, .hello, .welcome, .goodbye, .ping, .listAgents, .bind, .agentGone, .openPeer, .peerCandidate,
            .closePeer, .bridge, .restartPeer, .restartWanted, .mappingReport, .peerKey, .keyGone,
            .askPeerKeys:
            false
        }
    }
}
