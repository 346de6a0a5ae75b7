import CommandSupport
import Logging
import NIOCore
import NIOPosix
import SOCKS
import TunnelClient

/// The proxy's listening socket, on the event loop of the tunnels.
final class SOCKSListener {
    private let channel: any Channel
    private let limiter: ConnectionLimiter
    private let login: Login

    private init(channel: any Channel, limiter: ConnectionLimiter, login: Login) {
        self.channel = channel
        self.limiter = limiter
        self.login = login
    }

    /// Who may come in now.
    private final class Login {
        var credentials: SOCKSCredentials

        init(_ credentials: SOCKSCredentials) {
            self.credentials = credentials
        }
    }

    /// Other logins and another limit for clients that come from now on.
    func change(credentials: SOCKSCredentials, maximumConnections: Int) {
        self.login.credentials = credentials
        self.limiter.limit = maximumConnections
    }

    /// Where it listens; the port is the real one.
    var localAddress: SocketAddress? { self.channel.localAddress }

    /// Listens on `address` and serves clients. `maximumConnections`: how many at a time.
    static func start(
        on address: SocketAddress, maximumConnections: Int, credentials: SOCKSCredentials,
        connector: any TargetConnector, eventLoop: any EventLoop, logger: Logger
    ) -> EventLoopFuture<NIOLoopBound<SOCKSListener>> {
        let limiter = NIOLoopBound(ConnectionLimiter(limit: maximumConnections, logger: logger), eventLoop: eventLoop)
        let login = NIOLoopBound(Login(credentials), eventLoop: eventLoop)
        let connector = NIOLoopBound(BoxedConnector(connector), eventLoop: eventLoop)
        let refusals = NIOLoopBound(ClientRefusals(eventLoop: eventLoop, logger: logger), eventLoop: eventLoop)
        var bootstrap = ServerBootstrap.clients(on: eventLoop, limiter: limiter, logger: logger)
        if address.protocol == .inet6 {
            // The wildcard takes IPv4 as well, however the machine is set up.
            bootstrap = bootstrap.serverChannelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 0)
        }
        return
            bootstrap
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        SOCKSConnectionHandler(
                            credentials: login.value.credentials, connector: connector.value.connector, logger: logger,
                            requestCame: { limiter.value.requestCame(from: channel) },
                            turnedAway: { refusals.value.turnedAway($1, because: $0) }))
                }
            }
            .bind(to: address)
            .map { channel in
                NIOLoopBound(
                    SOCKSListener(channel: channel, limiter: limiter.value, login: login.value), eventLoop: eventLoop)
            }
    }

    /// Accepts no more; the future succeeds once the last client has gone.
    func drain() -> EventLoopFuture<Void> {
        self.channel.close(promise: nil)
        return self.limiter.whenEmpty(on: self.channel.eventLoop)
    }

    /// `NIOLoopBound` wants a concrete type.
    private struct BoxedConnector {
        let connector: any TargetConnector

        init(_ connector: any TargetConnector) {
            self.connector = connector
        }
    }
}

@available(*, unavailable)
extension SOCKSListener: Sendable {}
