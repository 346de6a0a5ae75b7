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
    private let watch: ConnectionWatch
    private lazy var associations = TunnelAssociations(
        egress: self.egress, eventLoop: self.channel.eventLoop, logger: self.logger)
    private let logger: Logger
    /// Connections open or being opened.
    private var streams = 0
    private let refusals: DropLog<Refusal>
    private let ledger: FlowLedger
    private let closed: () -> Void
    /// What has passed each connection and association that is open.
    private var passing: [FlowLedger.FlowID: () -> FlowTraffic] = [:]
    /// What has passed those that are over.
    private var past = FlowTraffic()

    /// Why the agent itself refuses a connection. The raw values stand in logs.
    private enum Refusal: String {
        /// `--max-streams`: this client has what there is for it.
        case limit
        /// The system gives no further socket, or too many names are being looked up.
        case system
    }

    /// Looks at the offer; throws a `PeerChannelError` when it cannot be taken. `closed` is called once, when the
    /// channel is over.
    init(
        offer: OpenPeer, configuration: PeerChannelConfiguration, signaling: any PeerSignaling,
        ledger: FlowLedger, eventLoop: any EventLoop, egress: Egress, logger: Logger, closed: @escaping () -> Void
    ) throws(PeerChannelError) {
        self.watch = .shared(by: eventLoop, logger: logger)
        var logger = logger
        logger[metadataKey: "peer"] = "\(offer.peerID)"
        self.ledger = ledger
        self.egress = egress
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

    /// Takes a place for one more connection or association, which is `flow` in the ledger; otherwise why not.
    private func takePlace(for flow: FlowLedger.FlowID) -> TunnelRefusal? {
        guard self.egress.takeStream(beside: self.streams) else {
            self.refusals.dropped(
                .limit,
                ["limit": .stringConvertible(self.egress.maximumStreams), "open": .stringConvertible(self.streams)])
            self.ledger.end(flow, .limit, at: self.channel.eventLoop.now)
            return TunnelRefusal(
                .limit, reason: "the agent is at its limit of \(self.egress.maximumStreams) connections")
        }
        self.streams += 1
        return nil
    }

    private func giveBackPlace() {
        self.streams -= 1
        self.egress.giveBackStream()
    }

    private func over(_ flow: FlowLedger.FlowID) {
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
        EgressConnection(
            request: request, owner: ObjectIdentifier(self), eventLoop: self.channel.eventLoop,
            dialer: self.egress.dialer, watch: self.watch, logger: self.logger
        ) { splice, resolved in
            self.passing[flow] = { splice.traffic }
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

    var peerChannel: any AnyPeerChannel { self.channel }

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
            kind: .tunnel, channel: ChannelStatus(self.channel, id: "\(self.channel.peerID)", clock),
            flows: self.streams,
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
    func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError) {
        self.associations.close()
        self.closed()
    }
}
