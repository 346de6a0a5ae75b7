import CommandSupport
package import Logging
package import NIOCore
package import NIOPosix

extension ServerBootstrap {
    /// Accepts clients whose connections go to targets: as many at a time as `limiter` lets in, and each may end its sending
    /// direction before the other one has ended. What to do with a client is left to say.
    package static func clients(
        on eventLoop: any EventLoop, limiter: NIOLoopBound<ConnectionLimiter>, logger: Logger
    ) -> ServerBootstrap {
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(limiter.value)
                    try channel.pipeline.syncOperations.addHandler(AcceptErrorHandler(logger: logger))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    }
}
