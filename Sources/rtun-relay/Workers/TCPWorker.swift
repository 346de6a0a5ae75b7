import AgentChoice
import Basics
import ClientSupport
import CommandSupport
import FlowLedger
import Logging
import NIOCore
import NIOPosix
import Signaling
import Tunnel
import TunnelClient

/// A tcp rule at work: a listening socket, whose connections are streams in a tunnel to an agent.
final class TCPWorker: RuleWorker {
    var failed: ((ProgramError) -> Void)? {
        didSet { if let failure = self.failure { self.failed?(failure) } }
    }
    private var failure: ProgramError?
    let rule: RelayRule
    let localAddress: SocketAddress
    private let target: Target
    private let listener: any Channel
    private let limiter: ConnectionLimiter
    let pool: TunnelPool
    private let logger: Logger
    private let failures: DropLog<FlowOutcome>
    private var isClosing = false

    /// As ``RuleServices/open(_:on:)``.
    static func open(
        _ rule: RelayRule, _ services: RuleServices, eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<any RuleWorker>> {
        let limiter = NIOLoopBound(
            ConnectionLimiter(
                limit: services.options.maximumConnections, eventLoop: eventLoop, logger: services.logger),
            eventLoop: eventLoop)
        // There before the first client: the port, and with it the log's metadata, is known once there is a listener.
        let opened = NIOLoopBoundBox<TCPWorker?>.makeEmptyBox(valueType: TCPWorker.self, eventLoop: eventLoop)
        return RuleServices.bind(rule, on: eventLoop) { address in
            // The IPv4 wildcard has a rule of its own.
            ServerBootstrap.clients(
                on: eventLoop, limiter: { limiter.value }, protocol: address.protocol, takesIPv4: false,
                logger: services.logger
            )
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                client.eventLoop.makeCompletedFuture { try opened.value?.accept(client) }
            }
            .bind(to: address)
        }.flatMapThrowing { listener in
            let worker = try TCPWorker(rule, services, listener: listener, limiter: limiter.value, eventLoop: eventLoop)
            opened.value = worker
            return NIOLoopBound(worker, eventLoop: eventLoop)
        }
    }

    private init(
        _ rule: RelayRule, _ services: RuleServices, listener: any Channel, limiter: ConnectionLimiter,
        eventLoop: any EventLoop
    ) throws {
        guard let target = Target(rule.target) else {
            preconditionFailure("a rule's target is an address with a port")
        }
        self.rule = rule
        self.target = target
        self.localAddress = listener.localAddress ?? rule.listenAddress
        self.listener = listener
        self.limiter = limiter
        self.logger = services.logger(of: rule, at: self.localAddress)
        self.pool = TunnelPool(
            pattern: try services.agents.pattern(), configuration: services.configuration, keys: services.keys,
            signal: services.signal, eventLoop: eventLoop, logger: self.logger)
        self.failures = DropLog(
            eventLoop: eventLoop, logger: self.logger, level: .info, message: "no connection to the target",
            event: "flow.failed")
        listener.closeFuture.hop(to: eventLoop).assumeIsolated().whenComplete { [weak self] result in
            self?.listenerClosed(result)
        }
    }

    var signalListener: any SignalListener { self.pool.channels }
    var ledger: FlowLedger { self.pool.ledger }
    var liveStatus: LiveStatus { self.pool.liveStatus }
    func openFlows(limit: Int) -> [FlowRecord] { self.ledger.openFlows(limit: limit) }

    private func accept(_ client: any Channel) throws {
        // There is nothing that it would have to say first.
        self.limiter.requestCame(from: client)
        try client.pipeline.syncOperations.addHandler(
            TCPClientHandler(target: self.target, connector: self.pool) { [weak self] failure, client in
                self?.failures.dropped(
                    FlowOutcome(failure.kind),
                    ["client": "\(client?.authority ?? "unknown")", "detail": "\(failure.reason)"])
            })
    }

    private func listenerClosed(_ result: Result<Void, any Error>) {
        guard !self.isClosing else { return }
        var cause = "closed by the system"
        if case .failure(let error) = result { cause = "\(error)" }
        let failure = ProgramError(.unavailable, "the local port \(self.localAddress.authority) is lost: \(cause)")
        self.failure = failure
        self.failed?(failure)
    }

    // MARK: Statistics

    func report() {
        let totals = self.ledger.totals[.tcp] ?? FlowLedger.Totals()
        let ended = totals.byOutcome.values.reduce(0, &+)
        var metadata: Logger.Metadata = [
            "event": "relay.stats", "target": "\(self.target)",
            "flows": .stringConvertible(self.ledger.count),
            "flows_opened": .stringConvertible(ended &+ UInt64(self.ledger.count)),
            "bytes_out": .stringConvertible(totals.traffic.sent),
            "bytes_in": .stringConvertible(totals.traffic.received),
        ]
        for (outcome, count) in totals.byOutcome where outcome != .closed {
            metadata["ended_\(outcome.rawValue)"] = .stringConvertible(count)
        }
        if let (agent, channel) = self.pool.channels.serving {
            metadata["agent"] = "\(agent.name)"
            metadata["instance"] = "\(agent.key.instance)"
            if let path = channel.path {
                metadata["path"] = "\(path.name)"
                metadata["remote"] = "\(path.remoteDescription)"
            }
            if let roundTripTime = channel.carrier?.roundTripTime {
                metadata["rtt_ms"] = .stringConvertible(roundTripTime.loggedMilliseconds)
            }
        } else {
            metadata["path"] = "none"
        }
        self.logger.info("relay statistics", metadata: metadata)
    }

    // MARK: The end

    func drain() -> EventLoopFuture<Void> {
        self.isClosing = true
        self.listener.close(promise: nil)
        return self.limiter.drain()
    }

    func close() {
        self.isClosing = true
        self.listener.close(promise: nil)
        self.pool.close()
    }
}

@available(*, unavailable)
extension TCPWorker: Sendable {}
