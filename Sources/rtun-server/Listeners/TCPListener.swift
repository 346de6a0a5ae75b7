import AppProto
import CommandSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import PlainHTTP
import Signaling
import TLS

/// What happens on the server's TCP port: TLS when there is a certificate, HTTP, and the upgrade to a WebSocket.
///
/// Belongs to the server's event loop, as do all of its connections.
final class TCPListener {
    private let eventLoop: any EventLoop
    private let service: SignalService
    private let limits: ServerLimits
    private let strangers: Strangers
    /// Whose `X-Forwarded-For` is believed, of connections that are yet to come or to say what they want.
    var trustedProxies: TrustedProxies
    private let logger: Logger
    private var listening: [any Channel] = []
    private var connections: [ObjectIdentifier: any Channel] = [:]
    /// For the connections to come; `nil` for plain HTTP.
    var tlsContext: TLSContext?

    init(
        eventLoop: any EventLoop, service: SignalService, limits: ServerLimits, strangers: Strangers,
        trustedProxies: TrustedProxies = TrustedProxies(), tlsContext: TLSContext?, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.service = service
        self.limits = limits
        self.strangers = strangers
        self.trustedProxies = trustedProxies
        self.logger = logger
        self.tlsContext = tlsContext
    }

    var connectionCount: Int { self.connections.count }

    /// Listens on one more address.
    func bind(to address: SocketAddress) -> EventLoopFuture<any Channel> {
        let listener = NIOLoopBound(self, eventLoop: self.eventLoop)
        var bootstrap = ServerBootstrap(group: self.eventLoop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptErrorHandler(logger: listener.value.logger))
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 1024, maximum: 16 * 1024)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try listener.value.configure(channel) }
            }
        if case .v6 = address {
            // The IPv4 wildcard has a socket of its own.
            bootstrap = bootstrap.serverChannelOption(.ipv6Only, value: 1)
        }
        return bootstrap.bind(to: address).assumeIsolated().map { channel in
            self.listening.append(channel)
            return channel
        }.nonisolated()
    }

    /// Makes a new connection ready, before anything has been read from it.
    func configure(_ channel: any Channel) throws {
        guard self.connections.count < self.limits.connections else {
            channel.close(promise: nil)
            return
        }
        let id = ObjectIdentifier(channel)
        self.connections[id] = channel
        // Whom a proxy stands for turns out with the request, or not at all: plain HTTP comes from a proxy, too.
        let isProxy = { (address: SocketAddress) in
            self.trustedProxies.isEmpty ? self.tlsContext == nil : self.trustedProxies.contains(address)
        }
        let source = channel.remoteAddress.flatMap { isProxy($0) ? nil : $0 }
        let stranger = self.strangers.add(from: source, at: self.eventLoop.now) { channel.close(promise: nil) }
        channel.closeFuture.assumeIsolated().whenComplete { _ in
            self.connections[id] = nil
            self.strangers.remove(stranger)
        }

        let pipeline = channel.pipeline.syncOperations
        if let tlsContext = self.tlsContext {
            try pipeline.addHandler(TLSHandler(context: tlsContext))
        }
        let http = PlainHTTPHandler(limits: self.limits.http) { [service] request, answer in
            answer(
                PlainResponse(
                    to: request, isAuthorized: { service.isAuthorized(sessionsToken: $0) },
                    sessions: { SessionsDocument(agents: service.agents) }))
        }
        let boundHTTP = NIOLoopBound(http, eventLoop: self.eventLoop)
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false,
            withServerUpgrade: (
                upgraders: [self.upgrader(of: stranger)],
                completionHandler: { context in
                    context.pipeline.syncOperations.removeHandler(boundHTTP.value, promise: nil)
                }
            ),
            withErrorHandling: true,
            withEncoderConfiguration: HTTPResponseEncoder.Configuration(),
            withDecoderLimitConfiguration: self.limits.http.decoder)
        try pipeline.addHandler(http)
    }

    private func upgrader(of stranger: Strangers.ID) -> NIOWebSocketServerUpgrader {
        let listener = NIOLoopBound(self, eventLoop: self.eventLoop)
        return WebSocketLink.serverUpgrader(
            shouldUpgrade: { Route(uri: $0.uri).webSocketRole != nil },
            upgraded: { link, head in
                let listener = listener.value
                let origin = link.remoteAddress.flatMap { listener.trustedProxies.origin(of: head, from: $0) }
                if let origin {
                    link.setForwardedAddress(origin)
                    listener.strangers.move(stranger, to: origin)
                }
                listener.service.accept(
                    link, role: Route(uri: head.uri).webSocketRole, isEncrypted: listener.tlsContext != nil,
                    isForwarded: origin != nil
                ) { listener.strangers.remove(stranger) }
            })
    }

    /// Accepts no more. Connections go on.
    func stopAccepting() {
        for channel in self.listening { channel.close(promise: nil) }
        self.listening = []
    }

    /// Completes when the last connection has closed. Those that have not by the end of `limit` are closed then: they have
    /// asked for nothing, or do not read the answer.
    func drained(within limit: TimeAmount) -> EventLoopFuture<Void> {
        let timer = self.eventLoop.assumeIsolated().scheduleTask(in: limit) {
            for channel in self.connections.values { channel.close(promise: nil) }
        }
        let drained = EventLoopFuture.andAllComplete(self.connections.values.map(\.closeFuture), on: self.eventLoop)
        drained.assumeIsolated().whenComplete { _ in timer.cancel() }
        return drained
    }
}

@available(*, unavailable)
extension TCPListener: Sendable {}
