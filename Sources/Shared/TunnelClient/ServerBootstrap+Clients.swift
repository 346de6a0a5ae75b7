import CommandSupport
package import Logging
package import NIOCore
package import NIOPosix

extension ServerBootstrap {
    /// Accepts clients whose connections go to targets: as many at a time as the limiter lets in, and each may end its sending
    /// direction before the other one has ended. What to do with a client is left to say.
    ///
    /// - Parameters:
    ///   - limiter: asked for on the event loop.
    ///   - family: of the address to listen on.
    ///   - takesIPv4: whether the IPv6 wildcard stands for IPv4, too.
    package static func clients(
        on eventLoop: any EventLoop, limiter: @escaping @Sendable () -> ConnectionLimiter,
        protocol family: NIOBSDSocket.ProtocolFamily, takesIPv4: Bool, logger: Logger
    ) -> ServerBootstrap {
        let bootstrap = ServerBootstrap(group: eventLoop)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionGate(limiter()))
                    try channel.pipeline.syncOperations.addHandler(AcceptErrorHandler(logger: logger))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
        guard family != .unix else { return bootstrap }
        let network =
            bootstrap
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        guard family == .inet6 else { return network }
        return network.serverChannelOption(
            ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: takesIPv4 ? 0 : 1)
    }
}
