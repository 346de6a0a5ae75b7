package import AgentChoice
import AppProto
package import Basics
package import ClientSupport
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
    /// A connection that has no answer yet.
    private struct Request {
        let target: Target
        let flow: FlowLedger.FlowID
        let completion: (TargetResult) -> Void
        var opening: TunnelOpening?
    }

    /// How long an agent may take to reach a target; agents give up earlier than that by themselves.
    private static let openTimeout = TimeAmount.seconds(60)

    /// The tunnels; hears of the control connection.
    package let channels: ChannelPool<QUICTunnel>
    /// The connections of its clients.
    package let ledger = FlowLedger()
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let watch: ConnectionWatch
    private var requests: [RequestID: Request] = [:]
    private var queue = RequestQueue()
    private var nextRequest: UInt64 = 1
    private var timer: Scheduled<Void>?

    /// `configuration` as for `ChannelPool`. The control connection may live on another event loop.
    package init(
        pattern: AgentNamePattern, configuration: PeerChannelConfiguration, signal: SignalClient,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.logger = logger
        self.watch = .shared(by: eventLoop, logger: logger)
        self.channels = ChannelPool(
            pattern: pattern, kind: .quicTunnel, usage: .connections, configuration: configuration, signal: signal,
            eventLoop: eventLoop, logger: logger)
        self.channels.delegate = self
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
        let id = RequestID(rawValue: self.nextRequest)
        self.nextRequest += 1
        let flow = self.ledger.open(origin, to: "\(target)", at: self.eventLoop.now)
        self.requests[id] = Request(target: target, flow: flow, completion: completion)
        self.queue.append(id, at: self.eventLoop.now)
        self.openWaiting()
        return id
    }

    package func cancel(_ id: RequestID) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        request.opening?.cancel()
        self.ledger.end(request.flow, .cancelled, at: self.eventLoop.now)
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
    package func closed(_ channel: AgentChannel<QUICTunnel>) { self.doubts(channel.id) }

    package func doubts(_ channel: ChannelID) {
        for withdrawal in self.queue.withdraw(from: channel, at: self.eventLoop.now) {
            self.channels.ended(on: channel, wasAnswered: false)
            self.requests[withdrawal.id]?.opening?.cancel()
            self.requests[withdrawal.id]?.opening = nil
            if let rejection = withdrawal.rejection { self.reject(withdrawal.id, rejection) }
        }
        self.openWaiting()
    }

    private func open(_ id: RequestID, on channel: AgentChannel<QUICTunnel>) {
        guard let request = self.requests[id] else { return self.forget(id) }
        let target = OpenTcp(host: request.target.hostText, port: request.target.port)
        self.requests[id]?.opening = channel.carrier.open(target, timeout: Self.openTimeout) { result in
            switch result {
            case .success(let stream): self.opened(id, stream, channel)
            // The tunnel is over, which is told next: another one is tried then.
            case .failure(.notConnected): self.requests[id]?.opening = nil
            case .failure(let error): self.fail(id, ConnectFailure(error))
            }
        }
    }

    private func opened(_ id: RequestID, _ stream: TunnelStream, _ channel: AgentChannel<QUICTunnel>) {
        guard let request = self.requests.removeValue(forKey: id) else { return stream.abandon() }
        _ = self.queue.remove(id)
        self.channels.answered(on: channel.id)
        let metadata: Logger.Metadata = [
            "flow": .stringConvertible(id.rawValue), "target": "\(request.target)", "agent": "\(channel.agent.name)",
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
            self.ledger.end(request.flow, outcome, at: self.eventLoop.now)
            self.channels.ended(on: channel.id, wasAnswered: true)
        }
        let connected = { (traffic: @escaping () -> FlowTraffic) in
            self.ledger.connected(
                request.flow, resolved: stream.boundAddress?.authority, agent: channel.agent.name,
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
                self.ledger.end(request.flow, .cancelled, at: self.eventLoop.now)
                self.channels.ended(on: channel.id, wasAnswered: true)
            })
        request.completion(.connected(connection))
    }

    private func fail(_ id: RequestID, _ failure: ConnectFailure) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        self.forget(id)
        self.ledger.end(request.flow, FlowOutcome(failure.kind), at: self.eventLoop.now)
        request.completion(.failed(failure))
    }

    private func reject(_ id: RequestID, _ rejection: RequestQueue.Rejection) {
        let reason =
            switch rejection {
            case .noAgent: "no agent could be reached in time"
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

extension ConnectFailure {
    /// An open that failed.
    init(_ error: TunnelOpenError) {
        let kind: Kind =
            switch error {
            case .refused(let code, _): Kind(code)
            case .timedOut: .timedOut
            case .streamLimitReached: .limit
            case .notConnected, .brokenStream, .invalidTarget: .failed
            }
        self.init(kind, reason: "\(error)")
    }
}

extension ConnectFailure.Kind {
    fileprivate init(_ code: OpenCode) {
        self =
            switch code {
            case .refused: .refused
            case .hostUnreachable: .hostUnreachable
            case .networkUnreachable: .networkUnreachable
            case .nameNotFound: .nameNotFound
            case .timedOut: .timedOut
            case .policy: .policy
            case .limit: .limit
            case .ok, .badRequest, .failed: .failed
            }
    }
}

extension FlowOutcome {
    /// What a connection that could not be made counts as.
    package init(_ kind: ConnectFailure.Kind) {
        self =
            switch kind {
            case .refused: .refused
            case .hostUnreachable, .networkUnreachable: .unreachable
            case .nameNotFound: .nameNotFound
            case .timedOut: .timedOut
            case .policy: .policy
            case .limit: .limit
            case .noAgent: .noAgent
            case .failed: .failed
            }
    }
}
