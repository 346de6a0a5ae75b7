import Admin
import AppProto
import Basics
import CommandSupport
import FlowLedger
import HostNetwork
import LibC
import Logging
import NIOCore
import OperatingSystem
import PeerChannel
import PeerSupport
import RelayChannel
import Signaling
import UDP
import UDPRelay

/// One relay rule of a client at the agent: a datagram channel on one side, a UDP socket for each flow on the other.
///
/// The client decides when a flow is over: its word removes the flow here, and only when that got lost does the agent
/// forget the flow by itself, a little later. So a flow that the client knows is never unknown here for long.
final class RelayPeer: AcceptedPeer {
    private let channel: PeerChannel<DatagramChannel>
    private let relay: UdpRelay
    private let eventLoop: any EventLoop
    private let egress: Egress
    let client: Client
    private let poller: UDPPoller
    private var meter: RelayMeter
    private let ledger: FlowLedger
    private let closed: () -> Void
    private weak var datagrams: DatagramChannel?
    private var flows: FlowTable<FlowID, EgressFlow>
    private var shareID: Egress.PartID?
    private var unflushed: [EgressFlow] = []
    /// Errors that the network reported to flows that have ended.
    private var reportedErrors: UInt64 = 0
    private var sweep: IdleSweep?
    private var addresses: LostAddressWatch?
    private var isFlushScheduled = false

    /// Looks at the offer; throws a `Failure` or `PeerChannelError` when it cannot be taken. `closed` is called once, when
    /// the channel is over.
    init(
        offer: OpenPeer, relay: UdpRelay, client: Client, configuration: PeerChannelConfiguration,
        signaling: any PeerSignaling, ledger: FlowLedger, eventLoop: any EventLoop, egress: Egress, logger: Logger,
        closed: @escaping () -> Void
    ) throws {
        guard client.rules.policy.permits(relay.target) else {
            egress.refusedRelay(relay.target.authority, at: eventLoop.now)
            throw Failure(code: .refused, reason: "the agent's policy refuses \(relay.target.authority)")
        }
        var logger = logger
        logger[metadataKey: "peer"] = "\(offer.peerID)"
        logger[metadataKey: "target"] = "\(relay.target.authority)"
        self.relay = relay
        self.eventLoop = eventLoop
        self.egress = egress
        self.client = client
        self.poller = try UDPPoller.shared(by: eventLoop)
        self.meter = RelayMeter(maximumFlows: egress.maximumFlows, eventLoop: eventLoop, logger: logger)
        self.ledger = ledger
        self.closed = closed
        self.flows = FlowTable(capacity: egress.maximumFlows)
        self.channel = try PeerChannel(
            offer: offer, configuration: configuration, signaling: signaling, eventLoop: eventLoop, logger: logger)
        self.channel.delegate = self
    }

    func start() -> EventLoopFuture<OpenPeerReply> {
        self.sweep = IdleSweep(eventLoop: self.eventLoop, idleTimeout: self.idleTimeout) { [weak self] in
            self?.endIdleFlow(before: $0) ?? false
        }
        // At once: a flow may have another address with its next datagram, and waiting would lose those until then.
        self.addresses = LostAddressWatch(eventLoop: self.eventLoop, patience: .zero) { [weak self] in
            Set(self?.flows.values.compactMap(\.localAddress) ?? [])
        } lost: { [weak self] in
            self?.addressesLost($0)
        }
        let relay = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.shareID = self.egress.relayOpened { [eventLoop] in
            eventLoop.execute { relay.value.endFlowForAnother() }
        }
        return self.channel.accept { [weak self] context in
            let datagrams = try DatagramChannel(context)
            datagrams.delegate = self
            self?.datagrams = datagrams
            return datagrams
        }.flatMapErrorThrowing { throw Failure(refusing: $0) }
    }

    var peerChannel: any AnyPeerChannel { self.channel }

    func rulesChanged() {
        guard !self.client.rules.ownPermit(self.relay.target) else { return }
        self.channel.close(reason: "the agent's policy refuses \(self.target) now")
    }

    func report() {
        guard let datagrams = self.datagrams, datagrams.isConnected else { return }
        self.meter.logger.info(
            "relay statistics",
            metadata: datagrams.metadata(self.meter.statistics, flows: self.flows.count, path: self.channel.path)
                .merging([
                    "icmp_errors": .stringConvertible(
                        self.flows.values.reduce(self.reportedErrors) { $0 + $1.reportedErrors })
                ]) { $1 })
    }

    var id: String { "\(self.channel.peerID)" }
    var target: String { self.relay.target.authority }
    var flowCount: Int { self.flows.count }
    var statistics: RelayStatistics { self.meter.statistics }
    var unledgeredTraffic: FlowTraffic { self.flows.values.reduce(into: FlowTraffic()) { $0 += $1.traffic } }

    /// The largest payload that may go back to the client.
    private var maximumPayload: Int {
        min(self.datagrams?.maximumPayload ?? 0, self.relay.maximumPayload.map(Int.init) ?? .max)
    }

    // MARK: Flows

    /// The new flow; nil when there is none to be had, which is counted and told.
    private func openFlow(_ id: FlowID, at now: NIODeadline) -> EgressFlow? {
        guard let shareID = self.shareID else { return nil }
        let place = self.egress.takeFlow(by: shareID, of: self.client) { self.meter.permitsFlow(at: now) }
        switch place {
        case .tooFast: return nil
        case .own where !self.takePlaceOfOwn(at: now):
            self.meter.dropForFlowLimit()
            return nil
        case .own, .taken: break
        }
        // Flows whose places others have got may still be there.
        if self.flows.isFull, let (_, flow) = self.leastUsedFlow() {
            self.evict(flow, .share)
            self.egress.giveBackFlow(by: shareID, of: self.client)
        }
        let flow: EgressFlow
        do {
            flow = try self.openSocket(id, at: now)
        } catch {
            self.egress.giveBackFlow(by: shareID, of: self.client)
            self.meter.drop(RelayDropReason(openingFailed: error), ["error": "\(SystemError.text(error.errnoCode))"])
            return nil
        }
        guard self.flows.insert(id, flow, at: now) != nil else {
            self.ended(flow, .failed, reason: "no room")
            return nil
        }
        self.meter.flowOpened(id)
        return flow
    }

    /// When the system gives no further socket, an idle flow makes room, like at `--max-flows`.
    private func openSocket(_ id: FlowID, at now: NIODeadline) throws(IOError) -> EgressFlow {
        do {
            return try EgressFlow(id: id, target: self.relay.target, poller: self.poller, delegate: self, at: now)
        } catch  where RelayDropReason(openingFailed: error) == .flowLimit {
            guard let (_, idle) = self.flows.makeRoom(at: now) else { throw error }
            self.evict(idle, .system)
            if let shareID = self.shareID { self.egress.giveBackFlow(by: shareID, of: self.client) }
            return try EgressFlow(id: id, target: self.relay.target, poller: self.poller, delegate: self, at: now)
        }
    }

    /// Removes the flow that is missed least, for a new one that gets its place.
    private func takePlaceOfOwn(at now: NIODeadline) -> Bool {
        guard let (_, flow) = self.flows.makeRoom(at: now) else { return false }
        self.evict(flow, .limit)
        return true
    }

    /// Another relay has less than its share of `--max-flows`, and has got the place of a flow of this one.
    private func endFlowForAnother() {
        guard let shareID = self.shareID, self.egress.owesFlow(shareID), let (_, flow) = self.leastUsedFlow() else {
            return
        }
        self.evict(flow, .share)
        self.egress.giveBackFlow(by: shareID, of: self.client)
        self.scheduleFlush()
    }

    /// Removes the flow that is missed least, however short it has been idle.
    private func leastUsedFlow() -> (key: FlowID, value: EgressFlow)? {
        self.flows.removeLeastUsed(unansweredBefore: .distantFuture, answeredBefore: .distantFuture)
    }

    /// Ends a flow that is out of the table; its place is another's from now on.
    private func evict(_ flow: EgressFlow, _ reason: FlowEvictionReason) {
        self.close(flow, .evicted)
        self.meter.flowEvicted(flow.id, reason)
        self.datagrams?.sendClosed(flow.id)
    }

    /// A flow that is out of the table is over, and its place is free.
    private func ended(_ flow: EgressFlow, _ outcome: FlowOutcome, reason: String) {
        self.close(flow, outcome)
        self.meter.flowClosed(flow.id, reason: reason)
        if let shareID = self.shareID { self.egress.giveBackFlow(by: shareID, of: self.client) }
    }

    private func close(_ flow: EgressFlow, _ outcome: FlowOutcome) {
        self.reportedErrors += flow.reportedErrors
        flow.close()
        self.ledger.count(self.record(of: flow), outcome, at: self.eventLoop.now)
    }

    private func record(of flow: EgressFlow) -> FlowRecord {
        var record = FlowRecord(
            FlowOrigin(.udp, client: "\(self.channel.peerID)"), target: self.relay.target.authority,
            openedAt: flow.openedAt)
        record.connectedAt = flow.openedAt
        record.traffic = flow.traffic
        record.path = self.channel.path?.name
        return record
    }

    /// The open flows, in no particular order; at most `limit`.
    func openFlows(limit: Int) -> [FlowRecord] { self.flows.values.prefix(limit).map { self.record(of: $0) } }

    /// Flows whose address this machine has lost get sockets on another one; their targets see senders that they have not
    /// seen before.
    private func addressesLost(_ lost: Set<SocketAddress>) {
        let stranded = self.flows.values.filter { $0.localAddress.map(lost.contains) ?? false }
        let moved = stranded.count { (try? $0.reopen()) != nil }
        self.meter.logger.info(
            "moving flows: this machine has lost their address, so their target sees other ports",
            metadata: [
                "event": "address.lost", "flows": .stringConvertible(stranded.count),
                "moved": .stringConvertible(moved),
                "address": "\(Set(lost.compactMap(\.ipAddress)).sorted().joined(separator: ","))",
            ])
    }

    /// Longer than the client's, so that the client is the first to forget an idle flow, and says so.
    private var idleTimeout: TimeAmount {
        .nanoseconds(self.relay.idleTimeout.nanoseconds / 4 * 5) + .seconds(1)
    }

    private func endIdleFlow(before deadline: NIODeadline) -> Bool {
        guard let (_, flow) = self.flows.removeIdle(before: deadline) else { return false }
        self.ended(flow, .idle, reason: "idle")
        return true
    }
}

@available(*, unavailable)
extension RelayPeer: Sendable {}

// MARK: - From the client

extension RelayPeer: DatagramChannelDelegate {
    func datagramChannel(_ channel: DatagramChannel, received payload: ByteBuffer, of id: FlowID) {
        let now = self.eventLoop.now
        let flow: EgressFlow
        if let slot = self.flows.touch(id, at: now), let known = self.flows[slot] {
            flow = known
        } else if let opened = self.openFlow(id, at: now) {
            flow = opened
        } else {
            // The client need not keep a flow that leads nowhere.
            channel.sendClosed(id)
            return
        }
        self.meter.statistics.toTarget.add(bytes: payload.readableBytes)
        flow.traffic.sent &+= UInt64(payload.readableBytes)
        self.meter.statistics[.notSent] += UInt64(flow.send(payload))
        if !flow.needsFlush {
            flow.needsFlush = true
            self.unflushed.append(flow)
        }
    }

    func datagramChannelReceiveComplete(_ channel: DatagramChannel) {
        for flow in self.unflushed { self.meter.statistics[.notSent] += UInt64(flow.flush()) }
        self.unflushed.removeAll(keepingCapacity: true)
    }

    func datagramChannel(_ channel: DatagramChannel, closedByPeer id: FlowID) {
        if let flow = self.flows.removeValue(of: id) { self.ended(flow, .closed, reason: "closed by the client") }
    }

    func datagramChannelLimitChanged(_ channel: DatagramChannel) {}
}

// MARK: - From the target

extension RelayPeer: EgressFlowDelegate {
    func flow(_ flow: EgressFlow, received payload: ByteBuffer) {
        guard let datagrams = self.datagrams, self.flows.answer(flow.id, at: self.eventLoop.now) else { return }
        guard self.meter.permits(size: payload.readableBytes, limit: self.maximumPayload) else { return }
        self.meter.statistics.fromTarget.add(bytes: payload.readableBytes)
        flow.traffic.received &+= UInt64(payload.readableBytes)
        datagrams.send(payload, on: flow.id)
    }

    func flowReceiveComplete(_ flow: EgressFlow) {
        self.scheduleFlush()
    }

    /// Other flows may have something to say in this turn of the loop, too: what they bring shares records.
    private func scheduleFlush() {
        guard !self.isFlushScheduled else { return }
        self.isFlushScheduled = true
        self.eventLoop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.datagrams?.flush()
        }
    }
}

extension RelayDropReason {
    /// Why a datagram was dropped for which no flow could be opened.
    fileprivate init(openingFailed error: IOError) {
        switch error.errnoCode {
        // Out of descriptors, ports, or memory.
        case EMFILE, ENFILE, EAGAIN, EADDRNOTAVAIL, EADDRINUSE, ENOBUFS, ENOMEM: self = .flowLimit
        default: self = .notSent
        }
    }
}

extension RelayPeer: PeerChannelDelegate {
    func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError) {
        self.sweep?.stop()
        self.addresses = nil
        for (_, flow) in self.flows.removeAll() { self.ended(flow, .closed, reason: "the channel is closed") }
        if let shareID = self.shareID { self.egress.relayClosed(shareID) }
        self.closed()
    }
}
