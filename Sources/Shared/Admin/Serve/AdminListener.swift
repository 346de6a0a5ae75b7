import Basics
import CommandSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import PlainHTTP

/// Takes connections for an ``AdminResponder``.
struct AdminListener {
    private static let limits = PlainHTTPLimits(requestTime: .seconds(10), responseTime: .seconds(30))

    let eventLoop: any EventLoop
    let core: NIOLoopBound<AdminResponder>
    let logger: Logger

    /// Listens on as many of the addresses as there are; brings the first one, with its port. Throws with exit code 69.
    func listen(on place: ListenAddress, _ addresses: [SocketAddress]) async throws -> SocketAddress {
        var bound: SocketAddress?
        for address in addresses {
            var current = address
            if let port = bound?.port { current.port = port }
            do {
                var bootstrap = self.bootstrap
                if case .v6 = address {
                    // Of both wildcards each has a socket of its own.
                    bootstrap = bootstrap.serverChannelOption(
                        ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 1)
                }
                let channel = try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                    .bind(to: current).get()
                bound = bound ?? channel.localAddress
            } catch {
                if ListenAddress.lacksFamily(error), address != addresses.last || bound != nil { continue }
                throw place.error(error)
            }
        }
        return bound ?? addresses[0]
    }

    /// Listens on a socket in the file system. Throws with exit code 69.
    func listen(onPath path: UnixSocketPath) async throws {
        let socket = try UnixListeningSocket(path)
        ProgramExit.beforehand { socket.remove() }
        _ = try await self.bootstrap.withBoundSocket(socket.descriptor).get()
    }

    private var bootstrap: ServerBootstrap {
        let (core, logger) = (self.core, self.logger)
        return ServerBootstrap(group: self.eventLoop)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptErrorHandler(logger: logger))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Self.configure(channel, core.value) }
            }
    }

    /// Makes a new connection ready, before anything has been read from it.
    static func configure(_ channel: any Channel, _ core: AdminResponder) throws {
        core.connected(channel)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withServerUpgrade: nil, withErrorHandling: true,
            withEncoderConfiguration: HTTPResponseEncoder.Configuration(),
            withDecoderLimitConfiguration: Self.limits.decoder)
        try pipeline.addHandler(
            PlainHTTPHandler(limits: Self.limits) { [weak channel] head, answer in
                core.respond(to: head, from: channel?.remoteAddress, answer)
            })
    }
}
