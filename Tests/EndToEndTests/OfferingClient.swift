import AppProto
import Basics
import Logging
import NIOCore
import NIOPosix
import PeerChannel
import Signaling
import TLS
import TestSupport
import Tunnel

/// A client that says to the server what no program of ours would: as many offers as it likes, also in the name of others.
final class OfferingClient: Sendable {
    private final class Delegate: SignalClientDelegate {
        let connected: EventLoopPromise<Void>
        /// The one that events are for.
        weak var channel: (any AnyPeerChannel)?
        init(_ connected: EventLoopPromise<Void>) { self.connected = connected }
        func signalConnected(_ session: SignalSession) { self.connected.succeed() }
        func signalLost() {}
        func signalReceived(_ request: SignalRequest) { request.failUnsupported() }
        func signalReceived(event: Envelope.Body) {
            if let message = PeerMessage(event: event) { self.channel?.receive(message) }
        }
    }

    let client: SignalClient
    private let identity: ProcessIdentity
    private let delegate: NIOLoopBound<Delegate>
    private let running: Task<Void, Never>

    /// Connects to the server.
    ///
    /// - Parameters:
    ///   - identity: whose fingerprint the offers have.
    ///   - proves: whether the server gets a proof of it.
    init(_ cluster: Cluster, identity: ProcessIdentity, proves: Bool = true) async throws {
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: cluster.url), role: .client,
            key: try SharedKey(secret: Array(Cluster.secret.utf8)), identity: proves ? identity : nil,
            software: "offering/1")
        configuration.certificateAuthorityFile = cluster.certificates.authority
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let client = try SignalClient(
            configuration: configuration, eventLoop: eventLoop,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let connected = eventLoop.makePromise(of: Void.self)
        self.delegate = try await eventLoop.submit {
            let delegate = Delegate(connected)
            client.setDelegate(delegate)
            return NIOLoopBound(delegate, eventLoop: eventLoop)
        }.get()
        self.client = client
        self.identity = identity
        self.running = Task { _ = await client.run() }
        try await connected.futureResult.get()
    }

    deinit { self.running.cancel() }

    /// A name and an instance that the server knows.
    struct Agent: Sendable {
        let name: String
        let instance: InstanceID

        init(_ name: String, _ instance: String) throws {
            guard let id = InstanceID(rawValue: instance) else { throw UnexpectedInstance() }
            self.name = name
            self.instance = id
        }
    }

    struct UnexpectedInstance: Error {}

    /// Offers channels, all at once; the code of each answer, nil for an acceptance.
    func offer(_ count: Int, to agent: Agent, of key: CertificateFingerprint? = nil) async -> [FailureCode?] {
        let fingerprint = (key ?? self.identity.fingerprint).bytes
        let answers = (0..<count).map { _ in
            self.client.request(
                .openPeer(
                    OpenPeer(
                        peerID: .random(), name: agent.name, instanceID: agent.instance,
                        ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"), fingerprint: fingerprint,
                        kind: .quicTunnel)), timeout: .seconds(20))
        }
        var codes: [FailureCode?] = []
        for answer in answers {
            do {
                _ = try await answer.get()
                codes.append(nil)
            } catch SignalError.failure(let failure) {
                codes.append(failure.code)
            } catch {
                codes.append(.unspecified)
            }
        }
        return codes
    }

    /// Tries to open a tunnel with a key of its own and an offer in the name of `key`; says how the channel ended, or nil if
    /// it stood for a second: a client knows of the agent's verdict only behind its own handshake (RFC 8446 §4.4.4).
    func enter(_ agent: Agent, as key: CertificateFingerprint) async throws -> PeerChannelError? {
        let eventLoop = self.client.eventLoop
        let ended = eventLoop.makePromise(of: PeerChannelError?.self)
        var configuration = PeerChannelConfiguration(identity: self.identity.identity)
        configuration.loopbackOnly = true
        let signaling = Signaling(client: self.client, key: key)
        eventLoop.execute { [configuration, events = self.delegate] in
            let channel = PeerChannel<QUICTunnel>(
                agentName: agent.name, instanceID: agent.instance, kind: .quicTunnel, configuration: configuration,
                signaling: signaling, eventLoop: eventLoop,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let delegate = ChannelDelegate(ended)
            delegate.channel = channel
            channel.delegate = delegate
            events.value.channel = channel
            channel.start { try QUICTunnel($0) }
        }
        return try await ended.futureResult.get()
    }

    /// Puts another key into offers than the channel's.
    private struct Signaling: ClientPeerSignaling {
        let client: SignalClient
        let key: CertificateFingerprint

        func openPeer(_ offer: OpenPeer) -> EventLoopFuture<OpenPeerReply> {
            var offer = offer
            offer.fingerprint = self.key.bytes
            return self.client.request(.openPeer(offer)).flatMapThrowing { answer in
                guard case .openPeerReply(let reply) = answer else { throw SignalError.unexpectedAnswer }
                return reply
            }
        }
        func restartPeer(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply> {
            self.client.eventLoop.makeFailedFuture(SignalError.unexpectedAnswer)
        }
        func sendEvent(_ event: Envelope.Body) { self.client.sendEvent(event) }
        func sendBridge(_ bridge: Bridge) { self.client.sendBridge(bridge) }
    }

    private final class ChannelDelegate: PeerChannelDelegate {
        let ended: EventLoopPromise<PeerChannelError?>
        var channel: PeerChannel<QUICTunnel>?
        var itself: ChannelDelegate?

        init(_ ended: EventLoopPromise<PeerChannelError?>) {
            self.ended = ended
            self.itself = self
        }

        func peerChannelConnected(_ peerID: PeerID) {
            let ended = self.ended
            ended.futureResult.eventLoop.scheduleTask(in: .seconds(1)) { ended.succeed(nil) }
        }
        func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError) {
            self.ended.succeed(reason)
            self.channel = nil
            self.itself = nil
        }
    }
}
