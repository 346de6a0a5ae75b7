import AppProto
import ClientSupport
import Logging
import NIOCore
import PeerChannel
import SOCKS
import Signaling

/// Opens clients' connections as streams in the tunnels of a pool.
///
/// Belongs to one event loop, which is that of the tunnels and of the clients' sockets.
final class TunnelPool {
    /// A connection that has no answer yet.
    private struct Request {
        let target: SOCKSTarget
        let completion: (TargetResult) -> Void
        var opening: TunnelOpening?
    }

    /// How long an agent may take to reach a target; agents give up earlier than that by themselves.
    private static let openTimeout = TimeAmount.seconds(60)

    /// The tunnels; hears of the control connection.
    let channels: ChannelPool<QUICTunnel>
    private let logger: Logger
    private let watch: ConnectionWatch
    private var requests: [ClientConnectionID: Request] = [:]
    private var nextConnection: UInt64 = 1

    /// `configuration` as for `ChannelPool`.
    init(
        pattern: AgentNamePattern, configuration: PeerChannelConfiguration, signal: SignalClient, logger: Logger
    ) {
        self.logger = logger
        self.watch = .shared(by: signal.eventLoop, logger: logger)
        self.channels = ChannelPool(
            pattern: pattern, kind: .quicTunnel, usage: .connections, configuration: configuration, signal: signal,
            eventLoop: signal.eventLoop, logger: logger)
        self.channels.delegate = self
    }

    /// Closes every tunnel; the agents are told. Streams are reset.
    func close() {
        self.channels.close()
    }
}

@available(*, unavailable)
extension TunnelPool: Sendable {}

extension TunnelPool: TargetConnector {
    func connect(to target: SOCKSTarget, completion: @escaping (TargetResult) -> Void) -> ClientConnectionID {
        let id = ClientConnectionID(rawValue: self.nextConnection)
        self.nextConnection += 1
        self.requests[id] = Request(target: target, completion: completion)
        self.channels.connectionRequested(id)
        return id
    }

    func cancel(_ id: ClientConnectionID) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        request.opening?.cancel()
        self.channels.connectionClosed(id)
    }
}

extension TunnelPool: ChannelPoolDelegate {
    func makeCarrier(_ context: PeerCarrierContext) throws -> QUICTunnel {
        try QUICTunnel(context)
    }

    func open(_ id: ClientConnectionID, on tunnel: QUICTunnel, of agent: AgentInfo) {
        // The client may have gone by an action performed just before; then the selector knows already.
        guard let request = self.requests[id] else { return }
        let target = OpenTcp(host: request.target.hostText, port: request.target.port)
        self.requests[id]?.opening = tunnel.open(target, timeout: Self.openTimeout) { result in
            switch result {
            case .success(let stream): self.opened(id, stream, agent)
            // The tunnel is over, which is told next, and makes the selector try another one.
            case .failure(.notConnected): self.requests[id]?.opening = nil
            case .failure(let error): self.fail(id, SOCKSOutcome(error), reason: "\(error)")
            }
        }
    }

    func withdraw(_ id: ClientConnectionID) {
        self.requests[id]?.opening?.cancel()
        self.requests[id]?.opening = nil
    }

    private func opened(_ id: ClientConnectionID, _ stream: TunnelStream, _ agent: AgentInfo) {
        guard let request = self.requests.removeValue(forKey: id) else { return stream.abandon() }
        self.channels.connectionAnswered(id)
        let target = request.target
        self.logger.debug("connected", metadata: Self.metadata("flow.opened", id, target, agent))
        let ended = { self.channels.connectionClosed(id) }
        let connection = TargetConnection(
            boundAddress: stream.boundAddress,
            makeHandler: {
                StreamSplice(stream: stream, watch: self.watch) { summary in
                    self.logger.debug(
                        "connection closed",
                        metadata: Self.metadata("flow.closed", id, target, agent).merging([
                            "sent": .stringConvertible(summary.bytesSent),
                            "received": .stringConvertible(summary.bytesReceived),
                            "reset": .stringConvertible(summary.wasReset),
                        ]) { $1 })
                    ended()
                }
            },
            abandon: {
                stream.abandon()
                ended()
            })
        request.completion(.connected(connection))
    }

    private static func metadata(
        _ event: String, _ id: ClientConnectionID, _ target: SOCKSTarget, _ agent: AgentInfo
    ) -> Logger.Metadata {
        [
            "event": "\(event)", "flow": .stringConvertible(id.rawValue), "target": "\(target)",
            "agent": "\(agent.name)",
        ]
    }

    private func fail(_ id: ClientConnectionID, _ outcome: SOCKSOutcome, reason: String) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        self.channels.connectionClosed(id)
        request.completion(.failed(outcome, reason: reason))
    }

    func reject(_ id: ClientConnectionID, _ rejection: ChannelSelector.Rejection) {
        guard let request = self.requests.removeValue(forKey: id) else { return }
        let reason =
            switch rejection {
            case .noAgent: "no agent could be reached in time"
            case .tooManyAttempts: "one agent after the other stopped answering"
            }
        request.completion(.failed(.failed, reason: reason))
    }
}

extension SOCKSOutcome {
    /// What the client is told of an open that failed.
    init(_ error: TunnelOpenError) {
        self =
            switch error {
            case .refused(let code, _): SOCKSOutcome(code)
            case .timedOut: .timedOut
            case .streamLimitReached, .notConnected, .brokenStream, .invalidTarget: .failed
            }
    }

    private init(_ code: OpenCode) {
        self =
            switch code {
            case .refused: .refused
            case .hostUnreachable: .hostUnreachable
            case .networkUnreachable: .networkUnreachable
            case .nameNotFound: .nameNotFound
            case .timedOut: .timedOut
            case .policy: .policy
            case .ok, .limit, .badRequest, .failed: .failed
            }
    }
}
