import Basics
import HTTPProxy
import Logging
import NIOCore
import Tunnel
import TunnelClient

/// One client that speaks HTTP: gives an ``HTTPProxyMachine`` what happens, and does what it says.
///
/// Nothing is read from the client that the machine or the target has no place for, and the target gets credit only for what
/// the client has taken. The channel must allow remote half-closure. When a tunnel is asked for, or another protocol, this
/// leaves the pipeline.
final class HTTPConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long clients may take.
    struct Timing {
        /// From the connection to the whole first request.
        var handshake = TimeAmount.seconds(30)
        /// From the first byte of a further request to the whole of it.
        var request = TimeAmount.seconds(30)
        /// Between two requests.
        var idle = TimeAmount.seconds(120)
        /// How long a client that was told the end has to take it and to close.
        var farewell = TimeAmount.seconds(5)
    }

    /// Whom this tells of what the client does.
    struct Listener {
        /// The client has said what it wants, or is turned away.
        var requestCame: () -> Void = {}
        /// The client is owed nothing, and perhaps asks again.
        var becameIdle: () -> Void = {}
        /// The client is turned away.
        var turnedAway: (HTTPRefusal, SocketAddress?) -> Void = { _, _ in }
    }

    enum TargetState {
        case none
        case connecting(RequestID)
        /// For a tunnel.
        case connected(TargetConnection)
        case stream(TargetStream)
    }

    private enum End {
        /// The last answer is written; the client's end is waited for.
        case farewell(timeout: Scheduled<Void>?)
        case reset(DeliveryWait)
    }

    var machine: HTTPProxyMachine
    var target = TargetState.none
    let connector: any TargetConnector
    private let timing: Timing
    let logger: Logger
    private let listener: Listener
    private let watch: ConnectionWatch?

    var context: ChannelHandlerContext?
    /// The client's address, for people; a channel that is broken has none any more.
    private(set) var client = "unknown"
    private var socket: (any SplicedSocket)?
    private var isPerforming = false
    private var isReading = false
    var isInputClosed = false
    /// Bytes of the target whose credit waits until the client takes more.
    var owedCredit = 0
    private var wait = HTTPProxyMachine.Wait.nothing
    private var timeout: Scheduled<Void>?
    private var end: End?

    init(
        _ configuration: HTTPProxyMachine.Configuration, connector: any TargetConnector, timing: Timing = Timing(),
        watch: ConnectionWatch?, logger: Logger, listener: Listener = Listener()
    ) {
        self.machine = HTTPProxyMachine(configuration)
        self.connector = connector
        self.timing = timing
        self.watch = watch
        self.logger = logger
        self.listener = listener
    }
}

@available(*, unavailable)
extension HTTPConnectionHandler: Sendable {}

// MARK: - The client

extension HTTPConnectionHandler {
    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.client = context.remoteAddress?.authority ?? self.client
        guard context.channel.isActive else { return }
        let socket = ConnectionSocket(context.channel)
        socket.enableKeepalive()
        self.socket = socket
        self.watch?.add(self)
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        self.arm(self.timing.handshake)
        self.wait = self.machine.wait
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.leave() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        self.change { $0.received(bytes) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.isReading = false
        self.readOn()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.returnCredit()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
        self.isInputClosed = true
        if case .farewell(let timeout) = self.end {
            if timeout != nil { context.close(promise: nil) }
        } else {
            self.change { $0.clientEnded() }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.leave()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.logger.debug(
            "connection to the client failed", metadata: ["client": "\(self.client)", "error": "\(error)"])
        context.close(promise: nil)
    }

    /// Nothing more happens, or somebody else has taken over.
    func leave() {
        self.watch?.remove(self)
        self.timeout?.cancel()
        self.timeout = nil
        if case .farewell(let timeout) = self.end { timeout?.cancel() }
        self.end = nil
        self.context = nil
        switch self.target {
        case .none: break
        case .connecting(let id): self.connector.cancel(id)
        case .connected(let connection): connection.abandon()
        case .stream(let stream): if self.wait == .nextRequest { stream.close() } else { stream.reset() }
        }
        self.target = .none
    }
}

extension HTTPConnectionHandler: WatchedConnection {
    var localAddress: SocketAddress? { self.context?.channel.localAddress }
    var acknowledgements: TCPAcknowledgements? { self.socket?.acknowledgements }
    func connectionLost() { self.context?.close(promise: nil) }
}

// MARK: - What the machine says

extension HTTPConnectionHandler {
    /// Tells the machine something, and does what it says until it says nothing more.
    func change(_ body: (inout HTTPProxyMachine) -> Void) {
        body(&self.machine)
        guard !self.isPerforming else { return }
        self.isPerforming = true
        while self.context != nil, let action = self.machine.nextAction() { self.perform(action) }
        self.isPerforming = false
        self.context?.flush()
        self.updateWait()
        self.returnCredit()
        self.readOn()
    }

    private func perform(_ action: HTTPProxyMachine.Action) {
        switch action {
        case .connect(let target): self.connect(to: target, isTunnel: false)
        case .tunnel(let target): self.connect(to: target, isTunnel: true)
        case .sendToTarget(let bytes): if case .stream(let stream) = self.target { stream.write(bytes) }
        case .sendToClient(let bytes): self.context?.write(self.wrapOutboundOut(bytes), promise: nil)
        case .closeTarget: self.dropTarget { $0.close() }
        case .resetTarget: self.dropTarget { $0.reset() }
        case .splice: self.handOver()
        case .closeClient: self.closeClient()
        case .resetClient: self.resetClient()
        case .tell(.requestCame): self.listener.requestCame()
        case .tell(.becameIdle): self.afterWrites { $0.becomeIdle() }
        case .tell(.turnedAway(let refusal)):
            self.listener.requestCame()
            self.listener.turnedAway(refusal, self.context?.remoteAddress)
        }
    }

    /// Does something when all that was written is the kernel's business.
    private func afterWrites(_ body: @escaping (HTTPConnectionHandler) -> Void) {
        guard let context = self.context else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenSuccess { [weak self] in
            if let self, self.context != nil { body(self) }
        }
        context.write(self.wrapOutboundOut(ByteBuffer()), promise: written)
    }

    /// Not before it has its answer: whoever is idle can be sent away.
    private func becomeIdle() {
        if self.machine.wait == .nextRequest { self.listener.becameIdle() }
    }

    func readOn() {
        guard let context = self.context, !self.isReading, !self.isInputClosed, self.machine.wantsInput else { return }
        if case .stream(let stream) = self.target, !stream.isWritable { return }
        self.isReading = true
        context.read()
    }

    private func returnCredit() {
        guard let context = self.context, context.channel.isWritable else { return }
        let credit = self.owedCredit
        self.owedCredit = 0
        if case .stream(let stream) = self.target { stream.consume(credit) }
    }

    /// Keeps the time for what is waited for. In the middle of an exchange a loss of the connection, also by the end of this
    /// process, is a reset: for HTTP/1.0 its end may be that of the content.
    private func updateWait() {
        let wait = self.machine.wait
        guard self.context != nil, self.end == nil, wait != self.wait else { return }
        self.wait = wait
        self.socket?.setResetsOnClose(wait == .nothing)
        switch wait {
        case .nothing:
            self.timeout?.cancel()
            self.timeout = nil
        case .request: self.arm(self.timing.request)
        case .nextRequest: self.arm(self.timing.idle)
        }
    }

    private func arm(_ time: TimeAmount) {
        self.timeout?.cancel()
        self.timeout = self.context?.eventLoop.assumeIsolated().scheduleTask(in: time) { [weak self] in
            guard let self else { return }
            self.logger.debug("no HTTP request in time", metadata: ["client": "\(self.client)"])
            self.context?.close(promise: nil)
        }
    }
}

// MARK: - The end

extension HTTPConnectionHandler {
    /// Behind everything written; then waits a little for the client to close. Closing at once, with bytes of the client
    /// unread, would make the kernel send a reset, and that can overtake the answer.
    private func closeClient() {
        guard let context = self.context else { return }
        self.end = .farewell(timeout: nil)
        self.timeout?.cancel()
        self.timeout = nil
        self.afterWrites { $0.sayFarewell() }
        context.flush()
    }

    private func sayFarewell() {
        guard let context = self.context, case .farewell = self.end else { return }
        self.socket?.setResetsOnClose(false)
        self.listener.becameIdle()
        guard !self.isInputClosed else { return context.close(promise: nil) }
        context.close(mode: .output, promise: nil)
        self.end = .farewell(
            timeout: context.eventLoop.assumeIsolated().scheduleTask(in: self.timing.farewell) { [weak self] in
                self?.context?.close(promise: nil)
            })
        self.readOn()
    }

    /// When the client's kernel has everything, or takes nothing.
    private func resetClient() {
        guard let context = self.context, let socket = self.socket else { return }
        context.flush()
        socket.setResetsOnClose(true)
        self.end = .reset(
            DeliveryWait(of: socket, on: context.eventLoop) { [weak self] in self?.context?.close(promise: nil) })
    }
}
