import AppProto
import ICE
import Logging
import NIOCore
import NIOPosix
import PeerChannel
import Signaling
import TLS
import TestSupport
import Testing

@testable import ClientSupport

/// A peer channel to a real agent whose carrier is somebody else's program: what that sends to a port of loopback goes
/// to the agent as it is, and what the agent sends goes to the program.
final class ForeignTunnel: Sendable {
    /// Where the program finds the agent.
    let port: Int
    private let signal: SignalClient
    private let channel: any Channel
    private let running: Task<Void, Never>

    private init(port: Int, signal: SignalClient, channel: any Channel, running: Task<Void, Never>) {
        self.port = port
        self.signal = signal
        self.channel = channel
        self.running = running
    }

    /// Opens a channel to an agent of `cluster`, which is told to expect the certificate of `identity`.
    static func open(
        to agent: String, _ instance: String, in cluster: Cluster, as identity: Identity
    ) async throws -> ForeignTunnel {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let logger = Logger(label: "foreign") { _ in SwiftLogNoOpLogHandler() }
        var signaling = SignalClientConfiguration(
            url: try ServerURL(parsing: cluster.url), role: .client,
            key: try SharedKey(secret: Array(Cluster.secret.utf8)), software: "test/1")
        signaling.certificateAuthorityFile = cluster.certificates.authority
        let signal = try SignalClient(configuration: signaling, eventLoop: eventLoop, logger: logger)
        let socket = try await DatagramBootstrap(group: eventLoop).bind(host: "127.0.0.1", port: 0).get()
        let id = try #require(InstanceID(rawValue: instance))
        var configuration = PeerChannelConfiguration(identity: identity)
        configuration.loopbackOnly = true
        configuration.pathChoice = .direct
        let (events, connected) = AsyncStream.makeStream(of: Void.self)
        try await eventLoop.submit { [configuration] in
            let channel = PeerChannel<ForeignCarrier>(
                agentName: agent, instanceID: id, kind: .quicTunnel, configuration: configuration,
                signaling: SignalPeering(client: signal), eventLoop: eventLoop, logger: logger)
            let client = ForeignClient(channel: channel, socket: socket, connected: connected)
            // Holds all the others, and is held itself until `run()` returns.
            signal.setDelegate(client)
        }.get()
        let running = Task { _ = await signal.run() }
        try await within(.seconds(10), "a channel to the agent") { for await _ in events { break } }
        return ForeignTunnel(
            port: try #require(socket.localAddress?.port), signal: signal, channel: socket, running: running)
    }

    /// Ends everything.
    func close() async {
        await self.signal.stopAndWait()
        await self.running.value
        try? await self.channel.close()
    }
}

/// Opens the channel as soon as the control connection is up, and tells it what comes for it.
private final class ForeignClient: SignalClientDelegate {
    private let channel: PeerChannel<ForeignCarrier>
    private let socket: any Channel
    private let connected: AsyncStream<Void>.Continuation
    private var hasStarted = false

    init(channel: PeerChannel<ForeignCarrier>, socket: any Channel, connected: AsyncStream<Void>.Continuation) {
        self.channel = channel
        self.socket = socket
        self.connected = connected
    }

    func signalConnected(_ session: SignalSession) {
        guard !self.hasStarted else { return }
        self.hasStarted = true
        self.channel.start { [socket, connected] context in
            let carrier = ForeignCarrier(context, socket: socket)
            try socket.pipeline.syncOperations.addHandler(ForeignDatagramHandler(carrier))
            connected.yield()
            return carrier
        }
    }

    func signalLost() {}
    func signalReceived(_ request: SignalRequest) { request.failUnsupported() }

    func signalReceived(event: Envelope.Body) {
        if let message = PeerMessage(event: event) { self.channel.receive(message) }
    }
}

/// Passes datagrams on, both ways.
private final class ForeignCarrier: PeerCarrier {
    weak var carrierDelegate: (any PeerCarrierDelegate)?
    private let path: any DatagramPath
    private let socket: any Channel
    /// Where the last datagram of the program came from.
    private var program: SocketAddress?
    private(set) var isClosed = false

    var isConnected: Bool { !self.isClosed }
    var roundTripTime: TimeAmount? { nil }

    init(_ context: PeerCarrierContext, socket: any Channel) {
        self.path = context.path
        self.socket = socket
        // What the program makes of it is its own business.
        context.eventLoop.assumeIsolated().execute { self.carrierDelegate?.carrierConnected() }
    }

    func send(_ datagram: ByteBuffer, from program: SocketAddress) {
        self.program = program
        self.path.send(datagram, segmentSize: nil)
    }

    func receive(_ bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {
        guard let program else { return }
        var rest = bytes
        while let datagram = rest.readSlice(length: min(segmentSize ?? rest.readableBytes, rest.readableBytes)),
            datagram.readableBytes > 0
        {
            self.socket.write(AddressedEnvelope(remoteAddress: program, data: datagram), promise: nil)
        }
    }

    func receiveComplete() { self.socket.flush() }

    func close(saying words: String) {
        self.isClosed = true
        self.carrierDelegate?.carrierClosed(.closedHere(reason: words))
    }

    func pathWritabilityChanged(_ isWritable: Bool) {}
    func pathChanged() {}
    func pathLimitChanged() {}
}

/// Hears the program.
private final class ForeignDatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let carrier: ForeignCarrier

    init(_ carrier: ForeignCarrier) { self.carrier = carrier }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = self.unwrapInboundIn(data)
        self.carrier.send(envelope.data, from: envelope.remoteAddress)
    }
}
