import AppProto
import Basics
import NIOCore
import NIOPosix
import NameResolution

/// Connects to TCP targets on behalf of peers, within the egress policy.
struct EgressDialer: Sendable {
    private(set) var rules: EgressRules
    var names = NameResolver.shared
    /// How long one attempt may take, name resolution included.
    var connectTimeout: TimeAmount = .seconds(10)

    /// Dials where `rules` permit it at that moment.
    init(rules: EgressRules) { self.rules = rules }

    /// Dials where `policy` permits it.
    init(policy: EgressPolicy) { self.init(rules: EgressRules(targets: policy)) }

    /// The same by other rules.
    func within(_ rules: EgressRules) -> EgressDialer {
        var dialer = self
        dialer.rules = rules
        return dialer
    }

    /// Where targets may be now.
    var policy: EgressPolicy { self.rules.policy }

    /// An attempt to connect.
    struct Attempt {
        /// Fails with a ``DialFailure``.
        let channel: EventLoopFuture<any Channel>
        /// What looks the target's name up; nil when there is nothing to look up. Without it the attempt fails.
        let lookup: NameLookup?
    }

    /// Connects to `target` on `eventLoop`; addresses of both families race (RFC 8305). `initialize` sets up the new
    /// channel, on the event loop, before it becomes active.
    ///
    /// - Parameter owner: for whom the name is looked up.
    func connect(
        to target: OpenTcp, for owner: ObjectIdentifier? = nil, on eventLoop: any EventLoop,
        initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> Attempt {
        let policy = self.policy
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(self.connectTimeout)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer(initialize)

        let connected: EventLoopFuture<any Channel>
        var lookup: NameLookup?
        if let literal = try? SocketAddress(ipAddress: target.host, port: Int(target.port)), let ip = IPAddress(literal)
        {
            guard policy.permits(ip, port: target.port) else {
                return Attempt(channel: eventLoop.makeFailedFuture(Self.refusal(target)), lookup: nil)
            }
            connected = bootstrap.connect(to: literal)
        } else {
            guard policy.permitsSomeAddress(port: target.port) else {
                return Attempt(channel: eventLoop.makeFailedFuture(Self.refusal(target)), lookup: nil)
            }
            let names = self.names.lookUp(target.host, port: target.port, for: owner, on: eventLoop)
            lookup = names
            connected = bootstrap.resolver(FilteringResolver(lookup: names, policy: policy, port: target.port))
                .connect(host: target.host, port: Int(target.port))
        }
        return Attempt(channel: connected.flatMapErrorThrowing { throw DialFailure($0) }, lookup: lookup)
    }

    private static func refusal(_ target: OpenTcp) -> DialFailure {
        DialFailure(.policy, "the agent's policy refuses \(target.host) port \(target.port)")
    }
}
