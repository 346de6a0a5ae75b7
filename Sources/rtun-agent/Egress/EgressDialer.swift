import AppProto
import Basics
import NIOCore
import NIOPosix

/// Connects to TCP targets on behalf of peers, within the egress policy.
struct EgressDialer: Sendable {
    let policy: EgressPolicy
    /// Where names are resolved: getaddrinfo blocks.
    let resolverThreads: NIOThreadPool
    /// How long one attempt may take, name resolution included.
    var connectTimeout: TimeAmount = .seconds(10)

    /// Connects to `target` on `eventLoop`; addresses of both families race (RFC 8305). `initialize` sets up the new
    /// channel, on the event loop, before it becomes active. Fails with a ``DialFailure``.
    func connect(
        to target: OpenTcp, on eventLoop: any EventLoop,
        initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(self.connectTimeout)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer(initialize)

        let connected: EventLoopFuture<any Channel>
        if let literal = try? SocketAddress(ipAddress: target.host, port: Int(target.port)), let ip = IPAddress(literal)
        {
            guard self.policy.permits(ip, port: target.port) else {
                return eventLoop.makeFailedFuture(Self.refusal(target))
            }
            connected = bootstrap.connect(to: literal)
        } else {
            guard self.policy.permitsSomeAddress(port: target.port) else {
                return eventLoop.makeFailedFuture(Self.refusal(target))
            }
            let resolver = FilteringResolver(
                policy: self.policy, port: target.port, eventLoop: eventLoop, threads: self.resolverThreads)
            connected = bootstrap.resolver(resolver).connect(host: target.host, port: Int(target.port))
        }
        return connected.flatMapErrorThrowing { throw DialFailure($0) }
    }

    private static func refusal(_ target: OpenTcp) -> DialFailure {
        DialFailure(.policy, "the agent's policy refuses \(target.host) port \(target.port)")
    }
}
