import Admin
import AppProto
import Basics
import CommandSupport
import FlowLedger
import Logging
import NIOCore
import PeerChannel
import PeerSupport
import Tunnel

/// One client's tunnel at the agent: dials what the client asks for and splices it to the tunnel.
final class TunnelPeer: AcceptedPeer {
    private let channel: PeerChannel<QUICTunnel>
    private let egress: Egress
    private let client: Client
    /// The tunnel as one of those that the client has; nil before the client has proved its key.
    private var part: Egress.PartID?
    private let dialer: EgressDialer
    private let watch: ConnectionWatch
    private lazy var associations = TunnelAssociations(
        egress: self.egress, dialer: self.dialer, client: self.client, eventLoop: self.channel.eventLoop,
        logger: self.logger)
    private let logger: Logger
    /// Connections open or being opened.
    private var streams = 0
    private let refusals: DropLog<Refusal>
    private let ledger: FlowLedger
    private let closed: () -> Void
    /// Those to targets that there are.
    private var connections: [FlowLedger.FlowID: (splice: StreamSplice, target: SocketAddress)] = [:]
    /// What has passed each connection and association that is open.
    private var passing: [FlowLedger.FlowID: () -> FlowTraffic] = [:]
    /// What has passed those that are over.
    private var past = FlowTraffic()

    /// Why the agent itself refuses a connection. The raw values stand in logs.
    private enum Refusal: String {
        /// `--max-streams`, or `max-streams=` of the client's line: this client has what there is for it.
        case limit
        /// The system gives no further socket, or too many names are being looked up.
        case system
    }

    /// Looks at the offer; throws a `PeerChannelError` when it cannot be taken. `closed` is called once, when the
    /// channel is over.
    init(
        offer: OpenPeer, client: Client, configuration: PeerChannelConfiguration, signaling: any PeerSignaling,
        ledger: FlowLedger, eventLoop: any EventLoop, egress: Egress, logger: Logger, closed: @escaping () -> Void
    ) throws(PeerChannelError) {
        self.watch = .shared(by: eventLoop, logger: logger)
        var logger = logger
        logger[metadataKey: "peer"] = "\(offer.peerID)"
        self.ledger = ledger
        self.egress = egress
        self.client = client
        self.dialer = egress.dialer.within(client.rules)
        self.refusals = DropLog(
            eventLoop: eventLoop, logger: logger, message: "connections refused", event: "stream.refused")
        self.logger = logger
        self.channel = try PeerChannel(
            offer: offer, configuration: configuration, signaling: signaling, eventLoop: eventLoop, logger: logger)
        self.closed = closed
        self.channel.delegate = self
    }

    func start() -> EventLoopFuture<OpenPeerReply> {
        self.channel.accept { [weak self] context in
            let tunnel = try QUICTunnel(context)
            tunnel.requested = { [weak self] request in
                guard let self else { return request.refuse(.failed, reason: "the agent is closing this channel") }
                self.connect(request)
            }
            tunnel.associationRequested = { [weak self] association in
                guard let self else { return TunnelRefusal(.failed, reason: "the agent is closing this channel") }
                return self.open(association)
            }
            return tunnel
        }.flatMapErrorThrowing { throw Failure(refusing: $0) }
    }

    /// Has what the client may have shared with this tunnel, too.
    private func join() -> Egress.PartID {
        if let part = self.part { return part }
        let part = self.egress.tunnelOpened(of: self.client)
        self.part = part
        return part
    }

    /// Takes a place for one more connection or association, which is `flow` in the ledger; otherwise why not.
    private func takePlace(for flow: FlowLedger.FlowID) -> TunnelRefusal? {
        guard let refusal = self.egress.takeStream(by: self.join(), of: self.client) else {
            self.streams += 1
            return nil
        }
        self.refusals.dropped(
            .limit, ["limit": .stringConvertible(refusal.limit), "open": .stringConvertible(self.streams)])
        self.ledger.end(flow, .limit, at: self.channel.eventLoop.now)
        return TunnelRefusal(.limit, reason: refusal.words)
    }

    private func giveBackPlace() {
        self.streams -= 1
        if let part = self.part { self.egress.giveBackStream(by: part, of: self.client) }
    }

    private func over(_ flow: FlowLedger.FlowID) {
        self.connections[flow] = nil
        if let traffic = self.passing.removeValue(forKey: flow) { self.past += traffic() }
    }

    private func open(_ association: TunnelAssociation) -> TunnelRefusal? {
        let flow = self.ledger.open(
            FlowOrigin(.udp, client: "\(self.channel.peerID)"), to: Endpoint.anywhere, at: self.channel.eventLoop.now)
        if let refusal = self.takePlace(for: flow) { return refusal }
        let egress = self.associations.open(association) { outcome in
            self.giveBackPlace()
            self.over(flow)
            self.ledger.end(flow, outcome, at: self.channel.eventLoop.now)
        }
        self.passing[flow] = { egress.traffic }
        self.ledger.connected(flow, resolved: nil, agent: nil, at: self.channel.eventLoop.now) {
            FlowLedger.Look(traffic: egress.traffic, path: self.channel.path?.name)
        }
        return nil
    }

    private func connect(_ request: TunnelRequest) {
        let flow = self.ledger.open(
            FlowOrigin(.tcp, client: "\(self.channel.peerID)"),
            to: hostWithPort(request.target.host, request.target.port), at: self.channel.eventLoop.now)
        if let refusal = self.takePlace(for: flow) { return request.refuse(refusal.code, reason: refusal.reason) }
        let generation = self.client.rules.generation
        EgressConnection(
            request: request, owner: ObjectIdentifier(self.client), eventLoop: self.channel.eventLoop,
            dialer: self.dialer, watch: self.watch, logger: self.logger
        ) { splice, resolved in
            self.connected(flow, splice, to: resolved)
            // They may have changed while the connection was being made: to them it is a new one.
            if generation != self.client.rules.generation, let resolved,
                !self.client.rules.policy.permits(resolved)
            {
                self.end([splice])
            }
            self.ledger.connected(flow, resolved: resolved?.authority, agent: nil, at: self.channel.eventLoop.now) {
                FlowLedger.Look(traffic: splice.traffic, path: self.channel.path?.name)
            }
        } ended: { end in
            self.giveBackPlace()
            self.over(flow)
            if case .failed(let failure) = end, failure.code == .policy {
                self.egress.refused(
                    hostWithPort(request.target.host, request.target.port), at: self.channel.eventLoop.now)
            }
            self.ledger.end(flow, end.outcome, at: self.channel.eventLoop.now)
            if case .failed(let failure) = end, failure.code == .limit {
                self.refusals.dropped(.system, ["error": "\(failure.reason)"])
            }
        }.open()
    }

    private func connected(_ flow: FlowLedger.FlowID, _ splice: StreamSplice, to target: SocketAddress?) {
        self.passing[flow] = { splice.traffic }
        if let target { self.connections[flow] = (splice, target) }
    }

    var peerChannel: any AnyPeerChannel { self.channel }

    func rulesChanged() {
        let forbidden = self.connections.values.filter { !self.client.rules.ownPermit($0.target) }
        if !forbidden.isEmpty { self.end(forbidden.map(\.splice)) }
    }

    private func end(_ forbidden: [StreamSplice]) {
        for splice in forbidden { splice.connectionLost() }
        self.logger.info(
            "connections ended: the client's rules do not permit them any more",
            metadata: ["event": "client.restricted", "count": .stringConvertible(forbidden.count)])
    }

    /// Of the client's UDP associations, if it has had any.
    func report() {
        guard let statistics = self.channel.carrier?.datagramStatistics, statistics.received > 0 else { return }
        self.logger.info(
            "UDP statistics",
            metadata: self.associations.metadata.merging(statistics.metadata) { $1 }.merging(["event": "udp.stats"]) {
                $1
            })
    }

    func status(_ clock: StatusClock) -> AgentStatus.Peer {
        AgentStatus.Peer(
            kind: .tunnel, client: self.client.id,
            channel: ChannelStatus(self.channel, id: "\(self.channel.peerID)", clock), flows: self.streams,
            traffic: self.traffic)
    }

    var traffic: FlowTraffic { self.passing.values.reduce(into: self.past) { $0 += $1() } }

    func openFlows(limit: Int) -> [FlowRecord] { [] }
    var unledgeredTraffic: FlowTraffic { FlowTraffic() }
    var drops: [DropReason: UInt64] {
        var drops = self.associations.droppedDatagrams
        if let statistics = self.channel.carrier?.datagramStatistics {
            drops[DropReason(.oversize as AssociationDrop), default: 0] += statistics.oversize
            drops[.congested] = statistics.congested
            drops[.incomplete] = statistics.incomplete
            drops[.foreign] = statistics.foreign
        }
        return drops
    }
}

extension StreamSplice {
    /// As seen from the client: what the target was sent came out of the tunnel.
    fileprivate var traffic: FlowTraffic {
        FlowTraffic(sent: self.summary.bytesReceived, received: self.summary.bytesSent)
    }
}

@available(*, unavailable)
extension TunnelPeer: Sendable {}

extension TunnelPeer: PeerChannelDelegate {
    func peerChannelConnected(_ peerID: PeerID) { _ = self.join() }

    func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError) {
        self.associations.close()
        if let part = self.part { self.egress.tunnelClosed(part, of: self.client) }
        self.closed()
    }
}
