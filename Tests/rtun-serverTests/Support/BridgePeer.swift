import AppProto
import Logging
import NIOCore
import NIOPosix
import Signaling
import Synchronization
import Testing

/// A client or an agent that does signalling, and nothing else.
struct BridgePeer: Sendable {
    /// What it has heard, on its event loop. An agent agrees to everything.
    final class Record: SignalClientDelegate {
        var losses = 0
        var bridges: [Bridge] = []
        var bytes: [PeerID: Int] = [:]
        var keepsBridges = true
        private let connected: AsyncStream<SignalSession>.Continuation

        init(connected: AsyncStream<SignalSession>.Continuation) {
            self.connected = connected
        }

        var totalBytes: Int { self.bytes.values.reduce(0, +) }

        func signalConnected(_ session: SignalSession) { self.connected.yield(session) }
        func signalLost() { self.losses += 1 }

        func signalReceived(_ request: SignalRequest) {
            switch request.body {
            case .openPeer(let offer):
                var reply = OpenPeerReply(peerID: offer.peerID, ice: offer.ice, fingerprint: offer.fingerprint)
                reply.bridge = true
                request.respond(.openPeerReply(reply))
            case .restartPeer(let restart):
                var reply = RestartPeerReply(
                    peerID: restart.peerID, generation: restart.generation, ice: restart.ice)
                reply.bridge = true
                request.respond(.restartPeerReply(reply))
            default:
                request.failUnsupported()
            }
        }

        func signalReceived(event: Envelope.Body) {
            guard case .bridge(let bridge) = event else { return }
            if self.keepsBridges { self.bridges.append(bridge) }
            self.bytes[bridge.peerID, default: 0] += bridge.datagrams.readableBytes
        }
    }

    static let ice = IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv")

    let client: SignalClient
    let record: NIOLoopBound<Record>
    let session: SignalSession

    /// Those that run, by the port of their server.
    private static let running = Mutex<[Int: [SignalClient]]>([:])

    /// Ends all clients of the server at a port.
    static func stopAll(port: Int) async {
        for client in Self.running.withLock({ $0.removeValue(forKey: port) }) ?? [] { await client.stopAndWait() }
    }

    /// Connects; goes on until `stopAll`.
    static func connect(
        _ scheme: ServerURL.Scheme, port: Int, key: SharedKey, agent: String? = nil,
        on eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    ) async throws -> BridgePeer {
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: "\(scheme.rawValue)://127.0.0.1:\(port)"),
            role: agent.map { .agent(name: $0, expireIn: nil, labels: [:]) } ?? .client, key: key, software: "test/1")
        configuration.httpsInsecure = scheme == .https
        configuration.quicInsecure = scheme == .quic
        let client = try SignalClient(
            configuration: configuration, eventLoop: eventLoop,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let (sessions, connected) = AsyncStream.makeStream(of: SignalSession.self)
        let record = try await eventLoop.submit {
            let record = Record(connected: connected)
            client.setDelegate(record)
            return NIOLoopBound(record, eventLoop: eventLoop)
        }.get()
        Self.running.withLock { $0[port, default: []].append(client) }
        Task { await client.run() }
        for await session in sessions {
            return BridgePeer(client: client, record: record, session: session)
        }
        throw CancellationError()
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (Record) -> Value) async throws -> Value {
        try await self.client.eventLoop.submit { body(self.record.value) }.get()
    }

    /// Opens a channel to `agent`; returns its id.
    func open(_ agent: BridgePeer, peerID: PeerID = .random(), bridge: Bool = true) async throws -> PeerID {
        var offer = OpenPeer(
            peerID: peerID, name: agent.session.welcome.agentName,
            instanceID: try #require(agent.session.welcome.instanceID), ice: Self.ice,
            fingerprint: Array(repeating: 1, count: 32), kind: .quicTunnel)
        offer.bridge = bridge
        _ = try await self.client.request(.openPeer(offer)).get()
        return peerID
    }

    /// Waits until as many bytes of the channel have come.
    func receive(_ bytes: Int, of peerID: PeerID) async throws {
        let deadline = NIODeadline.now() + .seconds(20)
        while try await self.read({ $0.bytes[peerID, default: 0] }) < bytes {
            try #require(NIODeadline.now() < deadline, "it did not arrive")
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
