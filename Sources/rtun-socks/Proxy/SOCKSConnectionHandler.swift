import Basics
import FlowLedger
import Logging
import NIOCore
import SOCKS
import Signaling
import Tunnel
import TunnelClient

/// One client from its first byte until its connection is glued to the target's; then this leaves the pipeline.
///
/// The channel must allow remote half-closure: a client may well send its request, close its sending side and wait.
final class SOCKSConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long clients may take.
    struct Timing {
        /// From the connection to the whole request.
        var handshake = TimeAmount.seconds(30)
        /// How long a client that was turned away has to take its answer and close.
        var farewell = TimeAmount.seconds(1)
    }

    private enum State {
        case idle
        case handshake(timeout: Scheduled<Void>)
        case connecting(RequestID, Target, inputClosed: Bool)
        /// The client's UDP association starts or is there; on this connection nothing is said any more but its end.
        case associated(SOCKSAssociation)
        /// The refusal is on its way; what the client still sends is thrown away.
        case refused(timeout: Scheduled<Void>)
        /// Closed, or handed over.
        case finished
    }

    private var state = State.idle
    private var machine: SOCKSServerStateMachine
    /// What has arrived and is not used: part of a message, or the first bytes for the target.
    private var buffer = ByteBuffer()
    private let connector: any TargetConnector
    private let timing: Timing
    private let logger: Logger
    private let requestCame: () -> Void
    private let turnedAway: (SOCKSViolation, SocketAddress?) -> Void
    /// Nil: there are no UDP associations.
    private let drops: DatagramDrops?

    /// - Parameters:
    ///   - drops: what counts datagrams of UDP associations; nil: there are none.
    ///   - requestCame: called when the client has said what it wants, or is turned away.
    ///   - turnedAway: called with the reason and the client's address when it is turned away during the handshake.
    init(
        credentials: SOCKSCredentials, connector: any TargetConnector, timing: Timing = Timing(), logger: Logger,
        drops: DatagramDrops? = nil,
        requestCame: @escaping () -> Void = {},
        turnedAway: @escaping (SOCKSViolation, SocketAddress?) -> Void = { _, _ in }
    ) {
        self.drops = drops
        self.requestCame = requestCame
        self.turnedAway = turnedAway
        self.machine = SOCKSServerStateMachine(credentials: credentials)
        self.connector = connector
        self.timing = timing
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard case .idle = self.state else { return }
        self.state = .handshake(
            timeout: self.schedule(self.timing.handshake, context) { handler, context in
                handler.logger.debug("no SOCKS request in time", metadata: ["client": "\(context.peer)"])
                handler.end(context)
            })
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var received = self.unwrapInboundIn(data)
        switch self.state {
        case .handshake, .connecting:
            if self.buffer.readableBytes == 0 {
                self.buffer = received
            } else {
                self.buffer.writeBuffer(&received)
            }
            if case .handshake = self.state { self.advance(context) }
        case .idle, .associated, .refused, .finished:
            break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed = event as? ChannelEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        switch self.state {
        case .handshake, .associated, .refused: self.end(context)
        case .connecting(let id, let target, _): self.state = .connecting(id, target, inputClosed: true)
        case .idle, .finished: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end(context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.logger.debug(
            "connection to the client failed", metadata: ["client": "\(context.peer)", "error": "\(error)"])
        self.end(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.abandonState()
    }
}

@available(*, unavailable)
extension SOCKSConnectionHandler: Sendable {}

// MARK: - Handshake

extension SOCKSConnectionHandler {
    private func advance(_ context: ChannelHandlerContext) {
        while case .handshake(let timeout) = self.state {
            switch self.machine.receive(&self.buffer) {
            case .needMoreBytes:
                return
            case .send(let reply):
                context.writeAndFlush(self.wrapOutboundOut(reply), promise: nil)
            case .connect(let target):
                timeout.cancel()
                self.requestCame()
                self.connect(to: target, context)
            case .associate(let port):
                timeout.cancel()
                self.requestCame()
                self.associate(port, context)
            case .refuse(let reply, let violation):
                timeout.cancel()
                self.requestCame()
                self.turnedAway(violation, context.remoteAddress)
                if let reply { self.refuse(reply, context) } else { self.end(context) }
            }
        }
    }

    private func connect(to target: Target, _ context: ChannelHandlerContext) {
        // More than the first bytes for the target is left in the kernel until somebody takes them.
        self.setAutoRead(false, context)
        let origin = FlowOrigin(
            self.machine.isVersion4 ? .socks4 : .socks5, client: context.peer, login: self.machine.user)
        let id = self.connector.connect(to: target, for: origin) { result in
            // The state keeps an answer from a client that has gone; the context is valid while the state says so.
            guard case .connecting(_, let target, let inputClosed) = self.state else {
                if case .connected(let connection) = result { connection.abandon() }
                return
            }
            self.state = .finished
            switch result {
            case .connected(let connection): self.glue(connection, inputClosed: inputClosed, context)
            case .failed(let failure):
                self.logger.debug(
                    "no connection to the target",
                    metadata: [
                        "event": "flow.failed", "client": "\(context.peer)", "target": "\(target)",
                        "outcome": "\(failure.kind)", "reason": "\(failure.reason)",
                    ])
                self.refuse(self.machine.complete(SOCKSOutcome(failure.kind)), context)
            }
        }
        self.state = .connecting(id, target, inputClosed: false)
    }

    private func associate(_ port: UInt16?, _ context: ChannelHandlerContext) {
        self.buffer = ByteBuffer()
        let client = AssociationClient(remote: context.remoteAddress, local: context.localAddress, port: port)
        guard let client else { return self.refuse(self.machine.complete(.policy), context) }
        guard let drops = self.drops else { return self.refuse(self.machine.complete(.unsupported), context) }
        let association = SOCKSAssociation(client, drops: drops)
        self.state = .associated(association)
        association.happened = { [unowned association] event in
            guard case .associated(let current) = self.state, current === association else { return }
            switch event {
            case .started(let address):
                ConnectionSocket(context.channel).enableKeepalive()
                let reply = self.machine.complete(.connected(bound: address))
                context.writeAndFlush(self.wrapOutboundOut(reply), promise: nil)
            case .failed(let outcome, let reason):
                self.logger.debug(
                    "no UDP association",
                    metadata: ["event": "flow.failed", "client": "\(context.peer)", "reason": "\(reason)"])
                self.refuse(self.machine.complete(outcome), context)
            case .ended(let reason):
                self.logger.debug(
                    "UDP association ended", metadata: ["client": "\(context.peer)", "reason": "\(reason)"])
                self.end(context)
            }
        }
        let origin = FlowOrigin(.udp, client: context.peer, login: self.machine.user)
        guard association.start(by: self.connector, for: origin, on: context.eventLoop) else {
            return self.refuse(self.machine.complete(.unsupported), context)
        }
    }

    /// Hands the client over: the answer first, then what it sent early, then its end if it has closed already.
    private func glue(_ connection: TargetConnection, inputClosed: Bool, _ context: ChannelHandlerContext) {
        let reply = self.machine.complete(.connected(bound: connection.boundAddress))
        context.writeAndFlush(self.wrapOutboundOut(reply), promise: nil)
        connection.takeOver(from: self, context, early: self.buffer, inputClosed: inputClosed)
        self.buffer = ByteBuffer()
    }
}

// MARK: - The end

extension SOCKSConnectionHandler {
    /// Sends the refusal and waits a little for the client to close. Closing at once, with bytes of the client unread,
    /// would make the kernel send a reset, and that can overtake the refusal.
    private func refuse(_ reply: ByteBuffer, _ context: ChannelHandlerContext) {
        self.buffer = ByteBuffer()
        self.state = .refused(timeout: self.schedule(self.timing.farewell, context) { $0.end($1) })
        context.writeAndFlush(self.wrapOutboundOut(reply), promise: nil)
        context.close(mode: .output, promise: nil)
        self.setAutoRead(true, context)
    }

    private func end(_ context: ChannelHandlerContext) {
        self.abandonState()
        context.close(promise: nil)
    }

    private func abandonState() {
        switch self.state {
        case .handshake(let timeout), .refused(let timeout): timeout.cancel()
        case .connecting(let id, _, _): self.connector.cancel(id)
        case .associated(let association): association.close()
        case .idle, .finished: break
        }
        self.state = .finished
        self.buffer = ByteBuffer()
    }

    private func setAutoRead(_ value: Bool, _ context: ChannelHandlerContext) {
        // Fails only on a channel that is closed, which is told by `channelInactive`.
        try? context.channel.syncOptions?.setOption(.autoRead, value: value)
    }

    private func schedule(
        _ delay: TimeAmount, _ context: ChannelHandlerContext,
        _ body: @escaping (SOCKSConnectionHandler, ChannelHandlerContext) -> Void
    ) -> Scheduled<Void> {
        context.eventLoop.assumeIsolated().scheduleTask(in: delay) { body(self, context) }
    }
}

extension ChannelHandlerContext {
    /// The other side's address, for people.
    fileprivate var peer: String { self.remoteAddress?.authority ?? "unknown" }
}

extension SOCKSOutcome {
    /// What the client is told of a connection that could not be made.
    init(_ kind: ConnectFailure.Kind) {
        self =
            switch kind {
            case .refused: .refused
            case .hostUnreachable: .hostUnreachable
            case .networkUnreachable: .networkUnreachable
            case .nameNotFound: .nameNotFound
            case .timedOut: .timedOut
            case .policy: .policy
            case .limit, .share, .noAgent, .failed: .failed
            }
    }
}
