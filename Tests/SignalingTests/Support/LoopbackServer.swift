import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import QUIC
import TLS

@testable import Signaling

/// A server on loopback that hands each link to a closure, on its event loop.
final class LoopbackServer: Sendable {
    let url: ServerURL
    let eventLoop: any EventLoop
    private let channel: any Channel
    private let children: NIOLoopBoundBox<[any Channel]>

    private init(
        url: ServerURL, eventLoop: any EventLoop, channel: any Channel, children: NIOLoopBoundBox<[any Channel]>
    ) {
        self.url = url
        self.eventLoop = eventLoop
        self.channel = channel
        self.children = children
    }

    /// `identity` is needed for all but `.http`. `port` 0 takes a free one. With `neverReads` the server leaves what comes
    /// after the upgrade where it is. Without `datagrams` it takes none over QUIC.
    static func start(
        _ scheme: ServerURL.Scheme, identity: Identity? = nil, port: Int = 0, neverReads: Bool = false,
        datagrams: Bool = true,
        accept: @escaping @Sendable (any SignalLink) -> Void
    ) async throws -> LoopbackServer {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let children = NIOLoopBoundBox<[any Channel]>.makeBoxSendingValue([], eventLoop: eventLoop)
        let channel =
            switch scheme {
            case .http, .https:
                try await Self.startTCP(eventLoop, identity, port, neverReads, children, accept)
            case .quic:
                try await Self.startQUIC(eventLoop, identity, port, neverReads, datagrams, accept)
            }
        let bound = UInt16(channel.localAddress?.port ?? 0)
        let url = ServerURL(scheme: scheme, host: "127.0.0.1", port: bound, prefix: scheme == .quic ? "" : "/prefix")
        return LoopbackServer(url: url, eventLoop: eventLoop, channel: channel, children: children)
    }

    /// The server is gone, as if it had been killed.
    func stop() async throws {
        try await self.channel.close()
        try await self.eventLoop.submit { self.children.value }.get().forEach { $0.close(promise: nil) }
    }

    private static func startTCP(
        _ eventLoop: any EventLoop, _ identity: Identity?, _ port: Int, _ neverReads: Bool,
        _ children: NIOLoopBoundBox<[any Channel]>, _ accept: @escaping @Sendable (any SignalLink) -> Void
    ) async throws -> any Channel {
        let context = try identity.map { try TLSContext.server(identity: $0) }
        return try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    children.value.append(channel)
                    let pipeline = channel.pipeline.syncOperations
                    if let context {
                        try pipeline.addHandler(TLSHandler(context: context))
                    }
                    let upgrader = WebSocketLink.serverUpgrader(
                        shouldUpgrade: { $0.uri.hasPrefix("/prefix/") },
                        upgraded: { link, _ in
                            if neverReads { channel.setOption(.autoRead, value: false).whenFailure { _ in } }
                            link.peerProved()
                            accept(link)
                        })
                    let fallback = NIOLoopBound(NotFoundHandler(), eventLoop: channel.eventLoop)
                    try pipeline.configureHTTPServerPipeline(
                        withServerUpgrade: (
                            upgraders: [upgrader],
                            completionHandler: { context in
                                context.pipeline.syncOperations.removeHandler(fallback.value, promise: nil)
                            }
                        ))
                    try pipeline.addHandler(fallback.value)
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
    }

    private static func startQUIC(
        _ eventLoop: any EventLoop, _ identity: Identity?, _ port: Int, _ neverReads: Bool, _ datagrams: Bool,
        _ accept: @escaping @Sendable (any SignalLink) -> Void
    ) async throws -> any Channel {
        var configuration = QUICConfiguration(
            applicationProtocol: SignalLinkLimits.quicApplicationProtocol, identity: identity,
            verification: .notRequested)
        configuration.maxConcurrentStreams = 1
        configuration.datagrams = datagrams
        let final = configuration
        return try await DatagramBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = try QUICServerHandler(configuration: final) { session, remote in
                        guard !neverReads else { return session.delegate = NeverReading.shared }
                        QUICLinkAcceptor.accept(session, localAddress: nil, remoteAddress: remote) {
                            $0.peerProved()
                            accept($0)
                        }
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
    }
}

/// Takes what comes on a stream without ever giving credit back.
private final class NeverReading: QUICSessionDelegate, QUICStreamDelegate, Sendable {
    static let shared = NeverReading()

    func sessionHandshakeCompleted(_ session: QUICSession) {}
    func session(_ session: QUICSession, streamOpened stream: QUICStream) { stream.delegate = self }
    func session(_ session: QUICSession, closed reason: QUICCloseReason) {}
    func stream(_ stream: QUICStream, received bytes: ByteBuffer) {}
    func streamFinished(_ stream: QUICStream) {}
    func stream(_ stream: QUICStream, resetWith code: UInt64) {}
    func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
}

/// Answers requests that are no upgrade.
private final class NotFoundHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .end = self.unwrapInboundIn(data) else { return }
        let head = HTTPResponseHead(version: .http1_1, status: .notFound, headers: ["Content-Length": "0"])
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
