import NIOCore
import NIOPosix
import QUIC
import STUN
import Signaling
import TLS
import UDP

/// What happens on the server's UDP port: QUIC signalling and STUN, told apart by the first byte (RFC 9443).
///
/// Belongs to the server's event loop.
final class UDPListener {
    private let eventLoop: any EventLoop
    private let service: SignalService
    private let limits: ServerLimits
    private let strangers: Strangers
    private(set) var configuration: QUICConfiguration
    private var channels: [any Channel] = []
    private var handlers: [QUICServerHandler] = []
    private let table = QUICConnectionTable()

    init(
        eventLoop: any EventLoop, service: SignalService, limits: ServerLimits, strangers: Strangers,
        identity: Identity, statelessResetKey: [UInt8], congestionControl: CongestionControl
    ) {
        self.eventLoop = eventLoop
        self.service = service
        self.limits = limits
        self.strangers = strangers
        self.configuration = QUICConfiguration(
            applicationProtocol: SignalLinkLimits.quicApplicationProtocol, identity: identity,
            verification: .notRequested)
        // One stream carries everything, in messages of at most 256 KiB.
        self.configuration.maxConcurrentStreams = 1
        // What goes from peer to peer through the server is not worth sending again.
        self.configuration.datagrams = true
        self.configuration.congestionControl = congestionControl
        self.configuration.initialStreamWindow = SignalLinkLimits.maximumStrangerBytes
        self.configuration.maxStreamWindow = 2 * SignalLinkLimits.maximumMessageSize
        self.configuration.maxUnconsumedBytes = SignalLinkLimits.maximumPendingBytes
        self.configuration.statelessResetKey = statelessResetKey
    }

    var sessionCount: Int {
        self.handlers.reduce(0) { $0 + $1.sessionCount }
    }

    /// Listens on one more address.
    func bind(to address: SocketAddress) -> EventLoopFuture<any Channel> {
        let listener = NIOLoopBound(self, eventLoop: self.eventLoop)
        let bootstrap = DatagramSocketOptions.control.apply(to: DatagramBootstrap(group: self.eventLoop))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try listener.value.configure(channel) }
            }
        return bootstrap.answeringFromAskedAddress(address).bind(to: address).assumeIsolated().map { channel in
            self.channels.append(channel)
            return channel
        }.nonisolated()
    }

    private func configure(_ channel: any Channel) throws {
        let handler = try QUICServerHandler(configuration: self.configuration, table: self.table) {
            [weak channel] session, remote in
            guard self.sessionCount <= self.limits.connections else {
                session.close(code: 0, reason: "too many connections")
                return
            }
            let stranger = self.strangers.add(from: remote, at: self.eventLoop.now) { [weak session] in
                session?.close(code: 0, reason: "too many connections")
            }
            QUICLinkAcceptor.accept(session, localAddress: channel?.localAddress, remoteAddress: remote) { link in
                self.service.accept(link, role: nil, isEncrypted: true) { self.strangers.remove(stranger) }
            }
        }
        self.handlers.append(handler)
        try channel.pipeline.syncOperations.addHandler(DatagramSender())
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.pipeline.syncOperations.addHandler(STUNResponder())
    }

    /// Connections to come are served with `identity`.
    func replaceIdentity(_ identity: Identity) throws(QUICError) {
        self.configuration.identity = identity
        for handler in self.handlers { try handler.replaceIdentity(identity) }
    }

    /// Completes when the last session has closed, or after `limit`.
    func drained(within limit: TimeAmount) -> EventLoopFuture<Void> {
        let promise = self.eventLoop.makePromise(of: Void.self)
        self.checkDrained(until: self.eventLoop.now + limit, promise)
        return promise.futureResult
    }

    /// Sessions close without telling the listener, so it looks now and then.
    private func checkDrained(until deadline: NIODeadline, _ promise: EventLoopPromise<Void>) {
        guard self.sessionCount > 0, self.eventLoop.now < deadline else { return promise.succeed() }
        self.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(20)) {
            self.checkDrained(until: deadline, promise)
        }
    }

    /// Ends what is still open, and closes the port.
    func close() {
        for handler in self.handlers { handler.closeAll(code: 0, reason: "the server is stopping") }
        self.handlers = []
        for channel in self.channels { channel.close(promise: nil) }
        self.channels = []
    }
}

@available(*, unavailable)
extension UDPListener: Sendable {}
