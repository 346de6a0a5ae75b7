package import AgentChoice
import AppProto
package import Basics
package import ClientSupport
import CommandSupport
package import FlowLedger
package import Logging
package import NIOCore
package import PeerChannel
package import Signaling
package import Tunnel

/// Opens clients' connections as streams in the tunnels of a pool.
///
/// Belongs to one event loop, which is that of the tunnels and of the clients' sockets.
package final class TunnelPool {
    /// A connection or association that has no answer yet.
    private struct Request {
        enum Wish {
            case connection(Target, FlowLedger.FlowID, (TargetResult) -> Void)
            case association(PooledAssociation)
        }

        let wish: Wish
        let origin: FlowOrigin
        var opening: TunnelOpening?
        /// The stream that it has, or may get.
        var share: StreamShare?
    }

    /// How long an agent may take to reach a target; agents give up earlier than that by themselves.
    private static let openTimeout = TimeAmount.seconds(60)
    /// How long a login that has no stream leaves an agent alone that has no place for one.
    private static let retryPause = TimeAmount.milliseconds(250)

    /// The tunnels; hears of the control connection.
    package let channels: ChannelPool<QUICTunnel>
    /// The connections of its clients.
    package let ledger = FlowLedger()
    let eventLoop: any EventLoop
    let logger: Logger
    private let watch: ConnectionWatch
    private var requests: [RequestID: Request] = [:]
    private var queue = RequestQueue()
    private var nextRequest: UInt64 = 1
    private var timer: Scheduled<Void>?
    /// The agent of which it was said last that it is of an old version.
    private var outdated: AgentKey?
    private var shares = LoginShares()
    private let refusedLogins: DropLog<LoginShares.Refusal.Name>

    /// `configuration` and `keys` as for `ChannelPool`. The control connection may live on another event loop.
    package init(
        pattern: AgentNamePattern, configuration: PeerChannelConfiguration, keys: AgentKeys? = nil,
        signal: SignalClient,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.logger = logger
        self.watch = .shared(by: eventLoop, logger: logger)
        self.channels = ChannelPool(
            pattern: pattern, kind: .quicTunnel, usage: .connections, configuration: configuration, keys: keys,
            signal: signal, eventLoop: eventLoop, logger: logger)
        self.refusedLogins = DropLog(
            eventLoop: eventLoop, logger: logger, level: .info,
            message: "a login has its share of the agent's streams", event: "login.limited")
        self.channels.delegate = self
    }

    /// How many logins share the tunnels.
    package var loginCount: Int {
        get { self.shares.loginCount }
        set { self.shares.loginCount = newValue }
    }

    /// Closes every tunnel; the agents are told. Streams are reset.
    package func close() {
        self.timer?.cancel()
        self.channels.close()
    }
}

@available(*, unavailable)
extension TunnelPool: Sendable {}

extension TunnelPool: TargetConnector {
    package func connect(
        to target: Target, for origin: FlowOrigin, completion: @escaping (TargetResult) -> Void
    ) -> RequestID {
        let flow = self.ledger.open(origin, to: "\(target)", at: self.eventLoop.now)
        return self.request(.connection(target, flow, completion), for: origin)
    }

    package func associate(
        for origin: FlowOrigin, delegate: any PooledAssociationDelegate
    ) -> PooledAssociation? {
        let flow = self.ledger.open(origin, to: Endpoint.anywhere, at: self.eventLoop.now)
        let association = PooledAssociation(self, for: origin, flow: flow, delegate: delegate)
        association.start()
        return association
    }

    private func request(_ wish: Request.Wish, for origin: FlowOrigin) -> RequestID {
        let id = RequestID(rawValue: self.nextRequest)
        self.nextRequest += 1
        self.requests[id] = Request(wish: wish, origin: origin)
        self.queue.append(id, at: self.eventLoop.now)
        self.openWaiting()
        return id
    }

    /// An association wants a place in a tunnel.
    func request(for association: PooledAssociation) -> RequestID {
        self.request(.association(association), for: association.origin)
    }

    package func cancel(_ id: RequestID) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        request.opening?.cancel()
        if case .connection(_, let flow, _) = request.wish {
            self.ledger.end(flow, .cancelled, at: self.eventLoop.now)
        }
        self.forget(id)
    }

    /// The request waits no more, or is opened no more.
    private func forget(_ id: RequestID) {
        if let channel = self.queue.remove(id) { self.channels.ended(on: channel, wasAnswered: false) }
        self.channels.isAwaited = self.queue.isAwaiting
    }

    /// Opens those that wait, for as long as there is a tunnel to open them in.
    private func openWaiting() {
        while self.queue.isAwaiting, let channel = self.channels.claim() {
            // Others that the claim made known may have taken all.
            guard let id = self.queue.next(on: channel.id) else {
                self.channels.ended(on: channel.id, wasAnswered: false)
                break
            }
            self.open(id, on: channel)
        }
        self.channels.isAwaited = self.queue.isAwaiting
        self.armTimer()
    }

    /// A timer that is early is left as it is.
    private func armTimer() {
        guard self.timer == nil, let deadline = self.queue.nextDeadline else { return }
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            self.timer = nil
            for id in self.queue.expire(at: self.eventLoop.now) { self.reject(id, .noAgent) }
            self.channels.isAwaited = self.queue.isAwaiting
            self.armTimer()
        }
    }
}

extension TunnelPool: ChannelPoolDelegate {
    package func makeCarrier(_ context: PeerCarrierContext) throws -> QUICTunnel {
        try QUICTunnel(context)
    }

    package func serves(_ channel: AgentChannel<QUICTunnel>) { self.openWaiting() }
    package func closed(_ channel: AgentChannel<QUICTunnel>) {
        self.shares.closed(channel.id)
        self.doubts(channel.id)
    }

    package func doubts(_ channel: ChannelID) {
        for withdrawal in self.queue.withdraw(from: channel, at: self.eventLoop.now) {
            self.channels.ended(on: channel, wasAnswered: false)
            self.requests[withdrawal.id]?.opening?.cancel()
            self.requests[withdrawal.id]?.opening = nil
            self.requests[withdrawal.id]?.share = nil
            if let rejection = withdrawal.rejection { self.reject(withdrawal.id, rejection) }
        }
        self.openWaiting()
    }

    private func open(_ id: RequestID, on channel: AgentChannel<QUICTunnel>) {
        guard let request = self.requests[id] else { return self.forget(id) }
        guard let share = self.share(for: request.origin, on: channel, refused: { self.refuse(id, $0) }) else { return }
        self.requests[id]?.share = share
        self.start(id, request.wish, on: channel)
    }

    private func start(_ id: RequestID, _ wish: Request.Wish, on channel: AgentChannel<QUICTunnel>) {
        self.requests[id]?.opening =
            switch wish {
            case .connection(let target, let flow, let completion):
                channel.carrier.open(
                    OpenTcp(host: target.hostText, port: target.port), timeout: Self.openTimeout
                ) { result in
                    self.answered(id, result, channel) {
                        self.opened(id, target, flow, $0, channel, completion)
                    }
                }
            case .association(let association):
                channel.carrier.openAssociation(timeout: Self.openTimeout) { result in
                    if case .failure(.noDatagrams) = result { self.tellOfVersion(channel.agent) }
                    self.answered(id, result, channel) { opened in
                        let share = self.accept(id, on: channel)
                        association.opened(opened, on: channel, share)
                    }
                }
            }
    }

    private func answered<Opened>(
        _ id: RequestID, _ result: Result<Opened, TunnelOpenError>, _ channel: AgentChannel<QUICTunnel>,
        opened: (Opened) -> Void
    ) {
        if case .failure(.refused(.limit, _)) = result {
            self.shares.agentIsFull(on: channel.id, at: self.eventLoop.now)
            if self.triesAgain(id, on: channel) { return }
        }
        switch result {
        case .success(let value):
            if let share = self.requests[id]?.share {
                share.isOpen = true
                self.shares.opened(on: channel.id)
            }
            opened(value)
        // The tunnel is over, which is told next: another one is tried then.
        case .failure(.notConnected): self.requests[id]?.opening = nil
        case .failure(let error): self.fail(id, ConnectFailure(error), isOutdated: error == .noDatagrams)
        }
    }

    /// The agent has no place. Whether the request has time to wait for one that another login gives back.
    private func triesAgain(_ id: RequestID, on channel: AgentChannel<QUICTunnel>) -> Bool {
        guard let request = self.requests[id], let share = request.share,
            self.queue.hasTime(id, at: self.eventLoop.now), self.shares.mayWait(request.origin.login, on: channel.id)
        else { return false }
        self.requests[id]?.opening = nil
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.retryPause) { [weak self, weak share] in
            // It may have been cancelled, or go to another tunnel by now.
            guard let self, let share, let request = self.requests[id], request.share === share else { return }
            self.start(id, request.wish, on: channel)
        }
        return true
    }

    /// Said once of each agent.
    private func tellOfVersion(_ agent: Agent) {
        guard self.outdated != agent.key else { return }
        self.outdated = agent.key
        self.logger.warning(
            "the agent's version carries no UDP: SOCKS clients that ask for it are refused. Update the agent",
            metadata: ["event": "agent.outdated", "agent": "\(agent.name)"])
    }

    /// A stream on `channel` for `origin`, if its login may have one; else it is told why not, later.
    private func share(
        for origin: FlowOrigin, on channel: AgentChannel<QUICTunnel>,
        refused: @escaping (LoginShares.Refusal) -> Void
    ) -> StreamShare? {
        let (login, id) = (origin.login, channel.id)
        let refusal = self.shares.take(
            login, on: id, capacity: channel.carrier.streamCapacity, at: self.eventLoop.now)
        if let refusal {
            self.refusedLogins.dropped(
                refusal.name,
                ["user": "\(login ?? "")", "agent": "\(channel.agent.name)", "detail": "\(refusal.reason)"])
            // Nobody hears of an end before there is a beginning.
            self.eventLoop.assumeIsolated().execute { refused(refusal) }
            return nil
        }
        return StreamShare { [weak self] in self?.shares.give(back: login, on: id, wasOpen: $0) }
    }

    private func refuse(_ id: RequestID, _ refusal: LoginShares.Refusal) {
        self.fail(id, ConnectFailure(.share, reason: refusal.reason))
    }

    /// The agent has said yes: the stream; nil when nobody waits for it any more.
    private func accept(_ id: RequestID, on channel: AgentChannel<QUICTunnel>) -> StreamShare? {
        guard let request = self.requests.removeValue(forKey: id) else { return nil }
        _ = self.queue.remove(id)
        self.channels.answered(on: channel.id)
        return request.share
    }

    private func opened(
        _ id: RequestID, _ target: Target, _ flow: FlowLedger.FlowID, _ stream: TunnelStream,
        _ channel: AgentChannel<QUICTunnel>, _ completion: (TargetResult) -> Void
    ) {
        guard let share = self.accept(id, on: channel) else { return stream.abandon() }
        let metadata: Logger.Metadata = [
            "flow": .stringConvertible(id.rawValue), "target": "\(target)", "agent": "\(channel.agent.name)",
        ]
        self.logger.debug("connected", metadata: metadata.merging(["event": "flow.opened"]) { $1 })
        let ended = { (traffic: FlowTraffic, outcome: FlowOutcome) in
            self.logger.debug(
                "connection closed",
                metadata: metadata.merging([
                    "event": "flow.closed", "sent": .stringConvertible(traffic.sent),
                    "received": .stringConvertible(traffic.received),
                    "reset": .stringConvertible(outcome == .reset),
                ]) { $1 })
            self.ledger.end(flow, outcome, at: self.eventLoop.now)
            share.end()
            self.channels.ended(on: channel.id, wasAnswered: true)
        }
        let connected = { (traffic: @escaping () -> FlowTraffic) in
            self.ledger.connected(
                flow, resolved: stream.boundAddress?.authority, agent: channel.agent.name,
                at: self.eventLoop.now
            ) {
                FlowLedger.Look(traffic: traffic(), path: self.channels.path(of: channel.carrier)?.name)
            }
        }
        let connection = TargetConnection(
            boundAddress: stream.boundAddress,
            makeHandler: {
                let splice = StreamSplice(stream: stream, watch: self.watch) { summary in
                    ended(FlowTraffic(summary), summary.wasReset ? .reset : .closed)
                }
                connected { FlowTraffic(splice.summary) }
                return splice
            },
            makeStream: {
                let target = TargetStream(
                    stream, eventLoop: self.eventLoop,
                    makeSplice: { StreamSplice(stream: stream, watch: self.watch, closed: $0) }, ended: ended)
                connected { target.traffic }
                return target
            },
            abandon: {
                stream.abandon()
                self.ledger.end(flow, .cancelled, at: self.eventLoop.now)
                share.end()
                self.channels.ended(on: channel.id, wasAnswered: true)
            })
        completion(.connected(connection))
    }

    private func fail(_ id: RequestID, _ failure: ConnectFailure, isOutdated: Bool = false) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        self.forget(id)
        switch request.wish {
        case .connection(_, let flow, let completion):
            self.ledger.end(flow, FlowOutcome(failure.kind), at: self.eventLoop.now)
            completion(.failed(failure))
        case .association(let association):
            association.failed(failure, isOutdated: isOutdated)
        }
    }

    private func reject(_ id: RequestID, _ rejection: RequestQueue.Rejection) {
        let reason =
            switch rejection {
            case .noAgent: self.channels.obstacle ?? "no agent could be reached in time"
            case .tooManyAttempts: "one agent after the other stopped answering"
            }
        self.fail(id, ConnectFailure(.noAgent, reason: reason))
    }
}

extension FlowTraffic {
    fileprivate init(_ summary: StreamSplice.Summary) {
        self.init(sent: summary.bytesSent, received: summary.bytesReceived)
    }
}
