import Basics
import HTTPProxy
import Logging
import NIOCore
import SOCKS
import Tunnel
import TunnelClient

/// What all clients of the proxy have in common, on whatever socket they come. Belongs to the event loop of the tunnels.
final class ProxyClients {
    /// Keeps them to `--max-connections`.
    let limiter: ConnectionLimiter
    /// Who may come in from now on.
    private var credentials: SOCKSCredentials
    private let connector: any TargetConnector
    /// Whether servers are told who asks (`--http-forwarded`).
    private var announcesClients: Bool
    let refusals: ClientRefusals
    let drops: DatagramDrops
    private let watch: ConnectionWatch
    private let logger: Logger

    init(_ options: ProxyOptions, connector: any TargetConnector, eventLoop: any EventLoop, logger: Logger) {
        self.limiter = ConnectionLimiter(limit: options.maximumConnections, eventLoop: eventLoop, logger: logger)
        self.credentials = options.credentials
        self.announcesClients = options.announcesClients
        self.connector = connector
        self.refusals = ClientRefusals(eventLoop: eventLoop, logger: logger)
        self.drops = DatagramDrops(eventLoop: eventLoop, logger: logger)
        self.watch = .shared(by: eventLoop, logger: logger)
        self.logger = logger
    }

    /// Goes by other options for clients that come from now on.
    func change(to options: ProxyOptions) {
        self.credentials = options.credentials
        self.announcesClients = options.announcesClients
        self.limiter.limit = options.maximumConnections
    }

    /// Serves a client that has just come.
    func serve(_ channel: any Channel) throws {
        try channel.pipeline.syncOperations.addHandler(
            ClientDoor(logger: self.logger) { [unowned channel] language, remaining in
                switch language {
                case .socks: self.socksHandler(channel, remaining)
                case .http: self.httpHandler(channel, remaining)
                }
            })
    }

    private func socksHandler(_ channel: any Channel, _ remaining: TimeAmount) -> any ChannelHandler {
        SOCKSConnectionHandler(
            credentials: self.credentials, connector: self.connector,
            timing: SOCKSConnectionHandler.Timing(handshake: remaining), logger: self.logger,
            drops: self.drops, requestCame: { [unowned channel] in self.limiter.requestCame(from: channel) },
            turnedAway: { self.refusals.turnedAway($1, because: $0) })
    }

    private func httpHandler(_ channel: any Channel, _ remaining: TimeAmount) -> any ChannelHandler {
        let credentials = self.credentials
        let accepts = { (user: [UInt8], password: [UInt8]) in credentials.accept(user: user, password: password) }
        let client = HTTPAnnouncement(client: channel.remoteAddress?.ipAddress)
        return HTTPConnectionHandler(
            HTTPProxyMachine.Configuration(
                accepts: credentials.isRequired ? accepts : nil, announcement: self.announcesClients ? client : nil),
            connector: self.connector, timing: HTTPConnectionHandler.Timing(handshake: remaining), watch: self.watch,
            logger: self.logger,
            listener: HTTPConnectionHandler.Listener(
                requestCame: { [unowned channel] in self.limiter.requestCame(from: channel) },
                becameIdle: { [unowned channel] in self.limiter.becameIdle(channel) },
                turnedAway: { self.refusals.turnedAway($1, because: $0) }))
    }
}

@available(*, unavailable)
extension ProxyClients: Sendable {}
