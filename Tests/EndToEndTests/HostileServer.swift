import AppProto
import Basics
import Logging
import NIOCore
import NIOPosix
import PeerChannel
import QUIC
import RelayChannel
import Signaling
import TLS
import TestSupport
import Tunnel
import UDPRelay

/// A server that has the secret and sits in between: it answers offers itself, with a key of its own, in the name of an agent
/// whose key it knows. What clients send it, it reads.
final class HostileServer: Sendable {
    /// What it says of the agent's key.
    enum Tale {
        /// In lists the key of the agent that it stands in for, in answers its own.
        case theRightKeyFirst
        /// Its own all along.
        case itsOwnKey
        /// The right one all along, which it cannot prove.
        case theRightKey
    }

    /// Where clients find it.
    let url: String
    /// Its own key, with which it answers.
    let identity: Identity
    private let channel: any Channel
    private let eventLoop: any EventLoop
    private let peers: NIOLoopBoundBox<[AnyObject]>

    /// - Parameters:
    ///   - key: of the agent that it stands in for.
    ///   - read: called with what a client has sent to it in confidence.
    static func start(
        agent name: String, key: CertificateFingerprint, tale: Tale, read: @escaping @Sendable (String) -> Void
    ) async throws -> HostileServer {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let identity = try Identity.selfSigned(commonName: "rtun agent")
        let secrets = AcceptedSecrets(try SharedKey(secret: Array(Cluster.secret.utf8)))
        let peers = NIOLoopBoundBox<[AnyObject]>.makeBoxSendingValue([], eventLoop: eventLoop)
        let agent = AgentInfo(
            name: name, instanceID: .random(), address: "192.0.2.1:1", software: "rtun-agent/0.13",
            key: ProvedKey(fingerprint: tale == .itsOwnKey ? identity.leafFingerprint : key, isKept: true))
        let answered = tale == .theRightKey ? key : identity.leafFingerprint
        var configuration = QUICConfiguration(
            applicationProtocol: SignalLinkLimits.quicApplicationProtocol, identity: identity,
            verification: .notRequested)
        configuration.maxConcurrentStreams = 1
        let final = configuration
        let channel = try await DatagramBootstrap(group: eventLoop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let handler = try QUICServerHandler(configuration: final) { session, remote in
                    QUICLinkAcceptor.accept(session, localAddress: nil, remoteAddress: remote) { link in
                        SignalAcceptor(link: link, secrets: secrets, software: "rtun-server/0.13") {
                            acceptor, outcome in
                            guard case .success = outcome,
                                let connection = acceptor.welcome(
                                    Welcome(observedAddress: "127.0.0.1:1", software: "rtun-server/0.13"))
                            else { return }
                            let client = HostileSession(
                                connection, agent: agent, identity: identity, answered: answered, read: read)
                            peers.value.append(client)
                            connection.delegate = client
                            connection.start()
                        }.start()
                    }
                }
                try channel.pipeline.syncOperations.addHandler(handler)
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        return HostileServer(
            url: "quic://127.0.0.1:\(channel.localAddress?.port ?? 0)", identity: identity, channel: channel,
            eventLoop: eventLoop, peers: peers)
    }

    private init(
        url: String, identity: Identity, channel: any Channel, eventLoop: any EventLoop,
        peers: NIOLoopBoundBox<[AnyObject]>
    ) {
        self.url = url
        self.identity = identity
        self.channel = channel
        self.eventLoop = eventLoop
        self.peers = peers
    }

    func stop() async throws {
        try await self.channel.close()
        try await self.eventLoop.submit { self.peers.value = [] }.get()
    }
}

/// One client at a hostile server.
private final class HostileSession: SignalConnectionDelegate, DatagramChannelDelegate {
    private let connection: SignalConnection
    private let agent: AgentInfo
    private let identity: Identity
    /// The key that its answers name.
    private let answered: CertificateFingerprint
    private let read: (String) -> Void
    private var channels: [PeerID: any AnyPeerChannel] = [:]

    init(
        _ connection: SignalConnection, agent: AgentInfo, identity: Identity, answered: CertificateFingerprint,
        read: @escaping (String) -> Void
    ) {
        self.answered = answered
        self.connection = connection
        self.agent = agent
        self.identity = identity
        self.read = read
    }

    func connection(_ connection: SignalConnection, received request: SignalRequest) {
        switch request.body {
        case .listAgents: request.respond(.agentList(AgentList(agents: [self.agent])))
        case .bind: request.respond(.bound(Bound(agent: self.agent)))
        case .openPeer(let offer): self.answer(offer, request)
        default: request.failUnsupported()
        }
    }

    func connection(_ connection: SignalConnection, receivedEvent event: Envelope.Body) {
        guard let message = PeerMessage(event: event) else { return }
        self.channels[message.peerID]?.receive(message)
    }

    func connectionClosed(_ connection: SignalConnection, reason: SignalCloseReason) { self.channels = [:] }

    /// As the agent would, with another key.
    private func answer(_ offer: OpenPeer, _ request: SignalRequest) {
        var configuration = PeerChannelConfiguration(identity: self.identity)
        configuration.loopbackOnly = true
        configuration.addressMonitor = nil
        let signaling = HostileSignaling(connection: NIOLoopBound(self.connection, eventLoop: self.eventLoop))
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        do {
            let answer: EventLoopFuture<OpenPeerReply>
            if case .udpRelay = offer.kind {
                let channel = try PeerChannel<DatagramChannel>(
                    offer: offer, configuration: configuration, signaling: signaling, eventLoop: self.eventLoop,
                    logger: logger)
                self.channels[offer.peerID] = channel
                answer = channel.accept { [unowned self] context in
                    let datagrams = try DatagramChannel(context)
                    datagrams.delegate = self
                    return datagrams
                }
            } else {
                let channel = try PeerChannel<QUICTunnel>(
                    offer: offer, configuration: configuration, signaling: signaling, eventLoop: self.eventLoop,
                    logger: logger)
                self.channels[offer.peerID] = channel
                answer = channel.accept { [unowned self] context in
                    let tunnel = try QUICTunnel(context)
                    tunnel.requested = { request in
                        self.read("\(request.target.host):\(request.target.port)")
                        request.refuse(.refused, reason: "read")
                    }
                    return tunnel
                }
            }
            answer.assumeIsolated().whenComplete { result in
                switch result {
                case .success(var reply):
                    reply.fingerprint = self.answered.bytes
                    request.respond(.openPeerReply(reply))
                case .failure(let error): request.fail(.refused, "\(error)")
                }
            }
        } catch {
            request.fail(.refused, "\(error)")
        }
    }

    private var eventLoop: any EventLoop { self.connection.link.eventLoop }

    func datagramChannel(_ channel: DatagramChannel, received payload: ByteBuffer, of flow: FlowID) {
        self.read(String(buffer: payload))
    }

    func datagramChannelReceiveComplete(_ channel: DatagramChannel) {}
    func datagramChannel(_ channel: DatagramChannel, closedByPeer flow: FlowID) {}
    func datagramChannelLimitChanged(_ channel: DatagramChannel) {}
}

private struct HostileSignaling: PeerSignaling {
    let connection: NIOLoopBound<SignalConnection>

    func sendEvent(_ event: Envelope.Body) { self.connection.value.sendEvent(event) }
    func sendBridge(_ bridge: Bridge) {}
}
