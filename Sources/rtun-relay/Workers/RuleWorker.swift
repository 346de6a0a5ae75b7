import Admin
import Basics
import ClientSupport
import CommandSupport
import FlowLedger
import Logging
import NIOCore
import PeerChannel
import Signaling

/// One rule at work, from its local port to its target. Belongs to one event loop.
protocol RuleWorker: AnyObject {
    var rule: RelayRule { get }
    /// Called when there is no point in going on; at once, if that has happened before.
    var failed: ((ProgramError) -> Void)? { get set }
    /// Hears of the control connection.
    var signalListener: any SignalListener { get }
    /// Where the worker listens, with the port that the kernel chose.
    var localAddress: SocketAddress { get }
    /// What has become of its flows.
    var ledger: FlowLedger { get }
    /// The open flows as of now; at most `limit`.
    func openFlows(limit: Int) -> [FlowRecord]
    /// As it is now.
    func status(_ clock: StatusClock) -> RelayStatus.Rule
    /// What has passed since the start.
    var traffic: FlowTraffic { get }
    /// For the live line.
    var liveStatus: LiveStatus { get }
    /// Writes a line of statistics.
    func report()
    /// Takes nobody new; the future succeeds once all that is open has come to its end.
    func drain() -> EventLoopFuture<Void>
    /// Stops listening and closes the channels; the agents are told.
    func close()
}

extension RuleWorker {
    /// ``localAddress`` as it stands in the rule.
    var announcedAddress: SocketAddress {
        var address = self.rule.listenAddress
        address.port = self.localAddress.port
        return address
    }
}

/// What rules are served with: the same for all.
struct RuleServices: Sendable {
    let options: RelayOptions
    let agents: AgentOptions
    let configuration: PeerChannelConfiguration
    let keys: AgentKeys?
    let signal: SignalClient
    let logger: Logger

    /// Opens the rule's local port and begins to look for an agent. The future is the event loop's and fails with `IOError`.
    func open(_ rule: RelayRule, on eventLoop: any EventLoop) -> EventLoopFuture<NIOLoopBound<any RuleWorker>> {
        switch rule.transport {
        case .udp: UDPWorker.open(rule, self, eventLoop: eventLoop)
        case .tcp: TCPWorker.open(rule, self, eventLoop: eventLoop)
        }
    }

    /// The log of one rule, which listens on `address`.
    func logger(of rule: RelayRule, at address: SocketAddress) -> Logger {
        var logger = self.logger
        logger[metadataKey: rule.transport.rawValue] = "\(address.authority)"
        return logger
    }

    /// Binds with `bind` to where the rule wants to listen. A wildcard stands for the other family where this machine does
    /// without its own.
    static func bind<Bound: Sendable>(
        _ rule: RelayRule, on eventLoop: any EventLoop,
        with bind: @escaping @Sendable (SocketAddress) -> EventLoopFuture<Bound>
    ) -> EventLoopFuture<Bound> {
        let address = rule.listenAddress
        return bind(address).flatMapError { error in
            let other = address.protocol == .inet6 ? "0.0.0.0" : "::"
            guard address.isWildcard, ListenAddress.lacksFamily(error),
                let substitute = try? SocketAddress(ipAddress: other, port: address.port ?? 0)
            else { return eventLoop.makeFailedFuture(error) }
            return bind(substitute)
        }
    }
}
