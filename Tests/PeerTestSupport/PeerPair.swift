package import AppProto
package import Basics
import Logging
package import NIOCore
import NIOPosix
package import PeerChannel
package import PeerPath
import TLS
package import TestSupport
package import Tunnel

/// A client's and an agent's end of one peer channel in this process, with real sockets and signalling in memory.
///
/// Lives on one event loop; tests reach in with `PeerPair.on`.
package final class PeerPair {
    package static let eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    /// Those that have not been finished: a test that fails must not release one on another thread. Used on the loop only.
    nonisolated(unsafe) private static var unfinished: [PeerPair] = []

    package let hub: MemorySignaling.Hub
    package let clientLog = LogRecord()
    package let agentLog = LogRecord()
    /// What the client has to say of the agent's key; set it before the start.
    package final class KeyVoice {
        package var objection: (CertificateFingerprint) -> String? = { _ in nil }
        package var proved: (CertificateFingerprint) -> EventLoopFuture<Void>? = { _ in nil }
    }

    package let keyVoice = KeyVoice()
    package let client: PeerChannel<QUICTunnel>
    package var agent: PeerChannel<QUICTunnel>?
    /// What the agent does with requests; the default dials.
    package var requested: ((TunnelRequest) -> Void)?
    /// What a test wants to live as long as the pair.
    package var retained: [AnyObject] = []
    /// How the splices of either side ended.
    package private(set) var summaries: [StreamSplice.Summary] = []
    /// What the client's end has told of its peer.
    package private(set) var suspicions: [Bool] = []
    private let watch = ConnectionWatch.shared(by: PeerPair.eventLoop, logger: Logger(label: "test"))
    /// The client's listener: every connection is opened at the agent, to `target`.
    package private(set) var listener: (any Channel)?
    package var target: OpenTcp?

    package let connected: EventLoopPromise<Void>
    package let agentConnected: EventLoopPromise<Void>
    package let clientClosed: EventLoopPromise<PeerChannelError>
    package let agentClosed: EventLoopPromise<PeerChannelError>
    /// Succeeds when the first opening has failed.
    package let openFailed: EventLoopPromise<TunnelOpenError>

    /// Whether the client's end has told that it is connected.
    package private(set) var hasConnected = false
    private let agentConfiguration: PeerChannelConfiguration
    private let agentDelegate: AgentDelegate

    package static func configuration() throws -> PeerChannelConfiguration {
        var configuration = PeerChannelConfiguration(identity: try Identity.selfSigned(commonName: "test"))
        configuration.loopbackOnly = true
        // Other tests change addresses.
        configuration.addressMonitor = nil
        return configuration
    }

    package init(client: PeerChannelConfiguration, agent: PeerChannelConfiguration) throws {
        let eventLoop = Self.eventLoop
        eventLoop.preconditionInEventLoop()
        self.agentConfiguration = agent
        self.hub = MemorySignaling.Hub(eventLoop: eventLoop)
        self.connected = eventLoop.makePromise()
        self.agentConnected = eventLoop.makePromise()
        self.clientClosed = eventLoop.makePromise()
        self.agentClosed = eventLoop.makePromise()
        self.agentDelegate = AgentDelegate(connected: self.agentConnected, closed: self.agentClosed)
        self.openFailed = eventLoop.makePromise()
        self.client = PeerChannel(
            agentName: "office", instanceID: .random(),
            kind: .quicTunnel, configuration: client,
            keyCheck: PeerKeyCheck(
                objection: { [keyVoice] in keyVoice.objection($0) }, proved: { [keyVoice] in keyVoice.proved($0) }),
            signaling: MemorySignaling(hub: NIOLoopBound(self.hub, eventLoop: eventLoop), side: .client),
            eventLoop: eventLoop, logger: self.clientLog.logger)
        self.client.delegate = self
        self.hub.accept = { [unowned self] offer in try self.accept(offer) }
        self.hub.restart = { [unowned self] restart in
            self.restart(restart)
        }
        // Whom a channel is with is said to the server.
        self.hub.toClient = { [unowned self] body in
            if case .peerKey = body { return }
            guard let message = PeerMessage(event: body) else { preconditionFailure("unexpected \(body)") }
            self.client.receive(message)
        }
        self.hub.toAgent = { [unowned self] body in
            if case .peerKey = body { return }
            guard let message = PeerMessage(event: body) else { preconditionFailure("unexpected \(body)") }
            self.agent?.receive(message)
        }
    }

    /// Has the agent answer a restart.
    package func restart(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply> {
        let promise = Self.eventLoop.makePromise(of: RestartPeerReply.self)
        if let agent = self.agent {
            agent.receive(.restart(restart, promise))
        } else {
            promise.fail(Failure(code: .peerUnknown))
        }
        return promise.futureResult
    }

    /// The key that the agent proves.
    package var agentKey: CertificateFingerprint { self.agentConfiguration.identity.leafFingerprint }

    private func accept(_ offer: OpenPeer) throws -> EventLoopFuture<OpenPeerReply> {
        let agent = try PeerChannel<QUICTunnel>(
            offer: offer, configuration: self.agentConfiguration,
            signaling: MemorySignaling(hub: NIOLoopBound(self.hub, eventLoop: Self.eventLoop), side: .agent),
            eventLoop: Self.eventLoop, logger: self.agentLog.logger)
        agent.delegate = self.agentDelegate
        self.agent = agent
        return agent.accept { [unowned self] context in
            let tunnel = try QUICTunnel(context)
            tunnel.requested = { [unowned self] request in
                if let requested = self.requested { requested(request) } else { self.dial(request) }
            }
            return tunnel
        }
    }

    // MARK: TCP at both ends

    /// Opens the client's listener on 127.0.0.1, whose connections go to `port` there.
    package func listen(forwardingTo port: Int) -> EventLoopFuture<Int> {
        self.target = OpenTcp(host: "127.0.0.1", port: UInt16(port))
        let bound = NIOLoopBound(self, eventLoop: Self.eventLoop)
        return ServerBootstrap(group: Self.eventLoop)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                bound.value.forward(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0)
            .map { channel in
                bound.value.listener = channel
                return channel.localAddress?.port ?? 0
            }
    }

    private func forward(_ channel: any Channel) {
        guard let target = self.target else { return }
        let front = EarlyInput()
        try? channel.pipeline.syncOperations.addHandler(front)
        self.client.carrier?.open(target, timeout: .seconds(5)) { result in
            switch result {
            case .success(let stream):
                self.splice(channel, stream)
                front.release()
            case .failure(let error):
                channel.close(promise: nil)
                self.openFailed.succeed(error)
            }
        }
    }

    private func dial(_ request: TunnelRequest) {
        let bound = NIOLoopBound((self, request), eventLoop: Self.eventLoop)
        ClientBootstrap(group: Self.eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.autoRead, value: false)
            .connect(host: request.target.host, port: Int(request.target.port))
            .whenComplete { result in
                let (pair, request) = bound.value
                switch result {
                case .success(let channel):
                    guard let stream = request.accept(boundAddress: channel.localAddress) else {
                        return channel.close(promise: nil)
                    }
                    pair.splice(channel, stream)
                case .failure(let error): request.refuse(.refused, reason: "\(error)")
                }
            }
    }

    private func splice(_ channel: any Channel, _ stream: TunnelStream) {
        do {
            try channel.pipeline.syncOperations.addHandler(
                StreamSplice(stream: stream, watch: self.watch) { self.summaries.append($0) })
        } catch {
            preconditionFailure("\(error)")
        }
    }

    // MARK: For tests

    /// A pair that has been started.
    package static func start(
        client: PeerChannelConfiguration? = nil, agent: PeerChannelConfiguration? = nil,
        prepare: @escaping @Sendable (PeerPair) -> Void = { _ in }
    ) async throws -> NIOLoopBound<PeerPair> {
        let client = try client ?? self.configuration()
        let agent = try agent ?? self.configuration()
        return try await self.eventLoop.submit {
            let pair = try PeerPair(client: client, agent: agent)
            self.unfinished.append(pair)
            prepare(pair)
            pair.client.start { try QUICTunnel($0) }
            return NIOLoopBound(pair, eventLoop: self.eventLoop)
        }.get()
    }

    /// A pair whose tunnel is up.
    package static func connect(
        client: PeerChannelConfiguration? = nil, agent: PeerChannelConfiguration? = nil,
        prepare: @escaping @Sendable (PeerPair) -> Void = { _ in }
    ) async throws -> NIOLoopBound<PeerPair> {
        let pair = try await self.start(client: client, agent: agent, prepare: prepare)
        try await self.wait(pair) { $0.connected.futureResult }
        try await self.wait(pair) { $0.agentConnected.futureResult }
        return pair
    }

    /// Runs `body` on the event loop.
    package static func on<Value: Sendable>(
        _ pair: NIOLoopBound<PeerPair>, _ body: @escaping @Sendable (PeerPair) throws -> Value
    ) async throws -> Value {
        try await self.eventLoop.submit { try body(pair.value) }.get()
    }

    /// Waits for a future that `body` finds or makes on the event loop.
    @discardableResult
    package static func wait<Value: Sendable>(
        _ pair: NIOLoopBound<PeerPair>, _ body: @escaping @Sendable (PeerPair) -> EventLoopFuture<Value>
    ) async throws -> Value {
        try await self.eventLoop.flatSubmit { body(pair.value) }.get()
    }

    /// Waits until both sides use the path of this name.
    package static func eventuallyPath(
        _ name: String?, _ pair: NIOLoopBound<PeerPair>, within limit: Duration
    ) async throws {
        try await eventually(within: limit, "the path \(name ?? "none") on both sides") {
            try await self.on(pair) { $0.client.path?.name == name && $0.agent?.path?.name == name }
        }
    }

    /// Has the client open `target`, which is expected to fail.
    package func openAndFail(
        _ target: OpenTcp, timeout: TimeAmount = .seconds(5)
    ) -> EventLoopFuture<TunnelOpenError> {
        let promise = Self.eventLoop.makePromise(of: TunnelOpenError.self)
        self.client.carrier?.open(target, timeout: timeout) { result in
            switch result {
            case .success(let stream):
                stream.abandon()
                promise.fail(UnexpectedSuccess())
            case .failure(let error): promise.succeed(error)
            }
        }
        return promise.futureResult
    }

    private struct UnexpectedSuccess: Error {}

    /// Ends both sides and waits until they have.
    package static func finish(_ pair: NIOLoopBound<PeerPair>) async throws {
        try await self.on(pair) { pair in
            pair.listener?.close(promise: nil)
            pair.client.close(reason: "test over")
        }
        try await self.wait(pair) { $0.clientClosed.futureResult }
        try await self.wait(pair) { pair in
            pair.agent == nil
                ? self.eventLoop.makeSucceededFuture(.closedHere(reason: "")) : pair.agentClosed.futureResult
        }
        // Promises that nothing has completed must not leak.
        try await self.on(pair) { pair in
            pair.connected.succeed()
            pair.agentConnected.succeed()
            pair.agentClosed.succeed(.closedHere(reason: ""))
            pair.openFailed.succeed(.notConnected)
            self.unfinished.removeAll { $0 === pair }
        }
    }
}

extension PeerPair: PeerChannelDelegate {
    package func peerChannelConnected(_ peerID: PeerID) {
        self.hasConnected = true
        self.connected.succeed()
    }

    package func peerChannel(_ peerID: PeerID, isSuspect: Bool) { self.suspicions.append(isSuspect) }
    package func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError) {
        self.connected.fail(reason)
        self.clientClosed.succeed(reason)
    }
}

extension SelectedPath {
    /// The peer's address; nil on the bridge.
    package var remote: SocketAddress? {
        if case .direct(_, let remote) = self { remote } else { nil }
    }
}

/// The delegate of both ends has the same methods, so the agent's is somebody else.
private final class AgentDelegate: PeerChannelDelegate {
    private let connected: EventLoopPromise<Void>
    private let closed: EventLoopPromise<PeerChannelError>

    init(connected: EventLoopPromise<Void>, closed: EventLoopPromise<PeerChannelError>) {
        self.connected = connected
        self.closed = closed
    }

    func peerChannelConnected(_ peerID: PeerID) { self.connected.succeed() }
    func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError) {
        self.connected.fail(reason)
        self.closed.succeed(reason)
    }
}

/// Keeps what arrives before the splice is there, as the SOCKS handler does: NIO reads up to a FIN even without
/// `autoRead`.
private final class EarlyInput: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private var context: ChannelHandlerContext?
    private var early: [NIOAny] = []
    private var inputClosed = false

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { self.early.append(data) }
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { self.inputClosed = true }
    }

    func release() {
        guard let context = self.context else { return }
        for data in self.early { context.fireChannelRead(data) }
        if self.inputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
