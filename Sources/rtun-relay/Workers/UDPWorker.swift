import AgentChoice
import AppProto
import Basics
import ClientSupport
import CommandSupport
import FlowLedger
import HostNetwork
import Logging
import NIOCore
import PeerChannel
import RelayChannel
import Signaling
import UDP
import UDPRelay

/// A udp rule at work: a local socket, a channel to an agent, and the flows between them.
///
/// A first datagram of a local sender opens a flow; answers go back to that sender. With the channel its flows go, too: the
/// next datagram of each sender opens a new one on the next channel. While there is none, datagrams wait.
final class UDPWorker: RuleWorker {
    var failed: ((ProgramError) -> Void)? {
        didSet { if let failure = self.failure { self.failed?(failure) } }
    }
    private var failure: ProgramError?
    let rule: RelayRule
    let channels: ChannelPool<DatagramChannel>
    private let eventLoop: any EventLoop
    private let socket: UDPSocket
    private(set) var meter: RelayMeter
    private var payloadLimit: PayloadLimit
    /// The channel in use, and whose it is.
    private var current: (channel: DatagramChannel, agent: Agent)?
    /// Of the flows that have ended; those that are open are in `flows`.
    let ledger = FlowLedger()
    private(set) var flows: ClientFlows<LocalSender>
    private(set) var waiting = WaitingDatagrams()
    private var waitingTimer: Scheduled<Void>?
    private var answers = LocalAnswers()
    private var sweep: IdleSweep?
    private var addresses: LostAddressWatch?

    /// As ``RuleServices/open(_:on:)``.
    static func open(
        _ rule: RelayRule, _ services: RuleServices, eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<any RuleWorker>> {
        var socketOptions = DatagramSocketOptions.listener
        socketOptions.tellsLocalAddress = rule.listenAddress.isWildcard
        return RuleServices.bind(rule, on: eventLoop) { [socketOptions] in
            UDPSocket.bind(to: $0, options: socketOptions, eventLoop: eventLoop)
        }.flatMapThrowing {
            let worker = try UDPWorker(rule, services, socket: $0.value, eventLoop: eventLoop)
            return NIOLoopBound(worker, eventLoop: eventLoop)
        }
    }

    private init(_ rule: RelayRule, _ services: RuleServices, socket: UDPSocket, eventLoop: any EventLoop) throws {
        let options = services.options
        let logger = services.logger(of: rule, at: socket.localAddress)
        self.rule = rule
        self.socket = socket
        self.channels = ChannelPool(
            pattern: try services.agents.pattern(),
            kind: .udpRelay(
                UdpRelay(
                    target: rule.target, idleTimeout: options.idleTimeout, maximumPayload: options.maximumPayload)),
            usage: .flows, configuration: services.configuration, keys: services.keys, signal: services.signal,
            eventLoop: eventLoop, logger: logger)
        self.eventLoop = eventLoop
        self.meter = RelayMeter(maximumFlows: options.maximumFlows, eventLoop: eventLoop, logger: logger)
        self.payloadLimit = PayloadLimit(asked: options.maximumPayload)
        self.flows = ClientFlows(capacity: options.maximumFlows)
        socket.delegate = self
        channels.delegate = self
        self.sweep = IdleSweep(eventLoop: eventLoop, idleTimeout: options.idleTimeout, share: 8) { [weak self] in
            self?.endIdleFlow(before: $0) ?? false
        } ended: { [weak self] in
            self?.current?.channel.flush()
        }
        self.addresses = LostAddressWatch(eventLoop: eventLoop) { [weak self] in
            self?.usedAddresses ?? []
        } lost: { [weak self] in
            self?.addressesLost($0)
        }
    }

    var localAddress: SocketAddress { self.socket.localAddress }
    var signalListener: any SignalListener { self.channels }

    /// Nobody can tell when the last datagram of a flow has come.
    func drain() -> EventLoopFuture<Void> { self.eventLoop.makeSucceededVoidFuture() }

    func close() {
        self.socket.close()
        self.sweep?.stop()
        self.addresses = nil
        self.waitingTimer?.cancel()
        self.clearFlows(because: "the relay stops")
        self.current = nil
        self.channels.close()
    }

    func report() {
        var metadata: Logger.Metadata
        if let (channel, agent) = self.current {
            metadata = channel.metadata(
                self.meter.statistics, flows: self.flows.count, path: self.channels.path(of: channel))
            metadata["agent"] = "\(agent.name)"
            metadata["instance"] = "\(agent.key.instance)"
        } else {
            metadata = [
                "event": "relay.stats", "flows": .stringConvertible(0), "path": "none",
                "waiting": .stringConvertible(self.waiting.count),
            ]
            for (key, value) in self.meter.statistics.fields { metadata[key] = .stringConvertible(value) }
        }
        metadata["target"] = "\(self.rule.target.authority)"
        self.meter.logger.info("relay statistics", metadata: metadata)
    }

    var liveStatus: LiveStatus {
        var status = self.channels.liveStatus
        status.bytesOut = self.meter.statistics.toTarget.bytes
        status.bytesIn = self.meter.statistics.fromTarget.bytes
        status.flows = self.flows.count
        return status
    }

    /// The largest payload that may go to the agent now.
    private var maximumPayload: Int {
        self.payloadLimit.payload(on: self.current?.channel.maximumPayload ?? 0)
    }
}

@available(*, unavailable)
extension UDPWorker: Sendable {}

// MARK: - From local senders

extension UDPWorker: UDPSocketDelegate {
    func socket(
        _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
        at local: SocketAddress?
    ) {
        let source = LocalSender(address: source, askedAt: local)
        for payload in DatagramSegments(bytes, size: segmentSize) {
            // A channel that has just ended is still the current one until the end of the turn.
            if let (channel, _) = self.current, channel.isConnected {
                self.forward(payload, from: source, on: channel)
            } else {
                self.keep(payload, from: source)
            }
        }
    }

    func socketReceiveComplete(_ socket: UDPSocket) {
        self.current?.channel.flush()
    }

    func socketWritabilityChanged(_ socket: UDPSocket) {}

    func socketFailed(_ socket: UDPSocket, error: (any Error)?) {
        let failure = ProgramError(
            .unavailable,
            "the local port \(self.localAddress.authority) is lost: \(error.map { "\($0)" } ?? "closed by the system")")
        self.failure = failure
        self.failed?(failure)
    }

    private func forward(_ payload: ByteBuffer, from source: LocalSender, on channel: DatagramChannel) {
        let now = self.eventLoop.now
        guard self.meter.permits(size: payload.readableBytes, limit: self.maximumPayload) else { return }
        let size = payload.readableBytes
        guard
            let flow = self.flows.flow(of: source, sending: size, at: now)
                ?? self.openFlow(of: source, sending: size, on: channel, at: now)
        else { return }
        self.meter.statistics.toTarget.add(bytes: payload.readableBytes)
        channel.send(payload, on: flow)
    }

    /// The new flow; nil when there is none to be had, which is counted and told.
    private func openFlow(
        of source: LocalSender, sending size: Int, on channel: DatagramChannel, at now: NIODeadline
    ) -> FlowID? {
        if self.flows.isFull, let idle = self.flows.makeRoom(at: now) {
            self.meter.flowEvicted(idle.flow.id, .limit)
            self.count(idle, .evicted)
            channel.sendClosed(idle.flow.id)
        }
        guard !self.flows.isFull else {
            self.meter.dropForFlowLimit()
            return nil
        }
        guard self.meter.permitsFlow(at: now),
            let flow = self.flows.open(for: source, sending: size, at: now)
        else { return nil }
        self.meter.flowOpened(flow, ["source": "\(source.address.authority)"])
        return flow
    }

    // MARK: Without a channel

    private func keep(_ payload: ByteBuffer, from source: LocalSender) {
        self.channels.missed()
        // A copy: the datagram shares its memory with a whole batch.
        let datagram = WaitingDatagrams.Datagram(
            source: source, payload: ByteBuffer(bytes: payload.readableBytesView), arrival: self.eventLoop.now)
        for _ in 0..<self.waiting.append(datagram) { self.meter.drop(.noChannel) }
        self.armWaitingTimer()
    }

    private func armWaitingTimer() {
        guard self.waitingTimer == nil, let deadline = self.waiting.nextDeadline else { return }
        self.waitingTimer = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            self.waitingTimer = nil
            for _ in 0..<self.waiting.removeStale(at: self.eventLoop.now) { self.meter.drop(.noChannel) }
            self.armWaitingTimer()
        }
    }

    private func forwardWaiting(on channel: DatagramChannel) {
        // One that has ended by now leaves them to the next.
        while channel.isConnected, let datagram = self.waiting.popFirst() {
            self.forward(datagram.payload, from: datagram.source, on: channel)
        }
        channel.flush()
    }
}

// MARK: - From the agent

extension UDPWorker: DatagramChannelDelegate {
    func datagramChannel(_ channel: DatagramChannel, received payload: ByteBuffer, of flow: FlowID) {
        guard channel === self.current?.channel,
            let source = self.flows.source(
                ofAnswerOn: flow, receiving: payload.readableBytes, at: self.eventLoop.now)
        else {
            // An answer that was under way when its flow ended.
            self.meter.statistics[.unknownFlow] += 1
            return
        }
        self.meter.statistics.fromTarget.add(bytes: payload.readableBytes)
        let lost = self.answers.append(payload, to: source, on: self.socket)
        self.meter.statistics[.notSent] += UInt64(lost)
    }

    func datagramChannelReceiveComplete(_ channel: DatagramChannel) {
        self.meter.statistics[.notSent] += UInt64(self.answers.send(on: self.socket))
    }

    func datagramChannel(_ channel: DatagramChannel, closedByPeer flow: FlowID) {
        guard channel === self.current?.channel, let ended = self.flows.remove(flow) else { return }
        self.count(ended, .closed)
        self.meter.flowClosed(flow, reason: "closed by the agent")
    }

    func datagramChannelLimitChanged(_ channel: DatagramChannel) {
        if channel === self.current?.channel { self.checkLimit() }
    }

    /// A payload limit that was asked for has to fit the path, which may not carry as much as was possible at start.
    private func checkLimit() {
        guard let (channel, _) = self.current, let asked = self.payloadLimit.isCut(to: channel.maximumPayload) else {
            return
        }
        self.meter.logger.warning(
            "--udp-max-payload is more than the path to the agent carries: larger datagrams are dropped",
            metadata: ["asked": .stringConvertible(asked), "limit": .stringConvertible(channel.maximumPayload)])
    }
}

// MARK: - Flows

extension UDPWorker {
    private func endIdleFlow(before deadline: NIODeadline) -> Bool {
        guard let idle = self.flows.removeIdle(before: deadline) else { return false }
        self.current?.channel.sendClosed(idle.flow.id)
        self.count(idle, .idle)
        self.meter.flowClosed(idle.flow.id, reason: "idle")
        return true
    }

    /// This machine's addresses that answers leave from.
    private var usedAddresses: Set<SocketAddress> {
        let listening = self.rule.listenAddress.isWildcard ? [] : [self.localAddress]
        return Set(self.flows.sources.compactMap(\.askedAt) + listening)
    }

    /// Answers from these addresses can reach nobody, and would keep their flows alive for ever.
    private func addressesLost(_ lost: Set<SocketAddress>) {
        let isDeaf = lost.contains(self.localAddress)
        let senders = self.flows.sources.filter { isDeaf || $0.askedAt.map(lost.contains) ?? false }
        for sender in senders {
            guard let ended = self.flows.remove(sender) else { continue }
            self.current?.channel.sendClosed(ended.flow.id)
            self.count(ended, .failed)
            self.meter.flowClosed(ended.flow.id, reason: "its local address is lost")
        }
        self.current?.channel.flush()
        self.meter.logger.log(
            level: isDeaf ? .warning : .info,
            isDeaf ? "this machine has lost the address that the rule listens on" : "this machine has lost an address",
            metadata: [
                "event": "address.lost", "flows": .stringConvertible(senders.count),
                "address": "\(Set(lost.compactMap(\.ipAddress)).sorted().joined(separator: ","))",
            ])
    }

    private func clearFlows(because reason: String) {
        let ended = self.flows.removeAll()
        for flow in ended { self.count(flow, .failed) }
        self.meter.flowsClosed(count: ended.count, reason: reason)
    }

    private func count(_ ended: ClientFlows<LocalSender>.Ended, _ outcome: FlowOutcome) {
        self.ledger.count(self.record(of: ended), outcome, at: self.eventLoop.now)
    }

    private func record(of flow: ClientFlows<LocalSender>.Ended) -> FlowRecord {
        var record = FlowRecord(
            FlowOrigin(.udp, client: flow.source.address.authority), target: self.rule.target.authority,
            openedAt: flow.flow.openedAt)
        record.connectedAt = flow.flow.openedAt
        record.traffic = flow.flow.traffic
        record.agent = self.current?.agent.name
        record.path = self.current.flatMap { self.channels.path(of: $0.channel)?.name }
        return record
    }

    /// The open flows, in no particular order; at most `limit`.
    func openFlows(limit: Int) -> [FlowRecord] { self.flows.all.prefix(limit).map { self.record(of: $0) } }
}

// MARK: - Channels

extension UDPWorker: ChannelPoolDelegate {
    func makeCarrier(_ context: PeerCarrierContext) throws -> DatagramChannel {
        let channel = try DatagramChannel(context)
        channel.delegate = self
        return channel
    }

    func serves(_ channel: AgentChannel<DatagramChannel>) {
        guard channel.carrier !== self.current?.channel else { return }
        self.clearFlows(because: "another channel")
        self.current = (channel.carrier, channel.agent)
        self.checkLimit()
        self.forwardWaiting(on: channel.carrier)
    }

    func closed(_ channel: AgentChannel<DatagramChannel>) {
        guard channel.carrier === self.current?.channel else { return }
        self.clearFlows(because: "the channel is closed")
        self.current = nil
    }

    /// Has it gone for good, or only lost its control connection? Then its channel goes on.
    func agentGone(_ agent: AgentKey) {
        if let (channel, current) = self.current, current.key == agent { channel.probe() }
    }
}
