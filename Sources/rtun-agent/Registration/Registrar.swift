import Basics
import AppProto
import CommandSupport
import Logging
import NIOCore
import PeerChannel
import Signaling

/// The agent's side of its registration: announces readiness, and leads clients' offers to the acceptor.
///
/// Belongs to the signalling event loop.
final class Registrar: SignalClientDelegate {
    private let client: SignalClient
    private let acceptor: PeerAcceptor
    private let announceReady: (Welcome) -> Void
    private let logger: Logger
    private var refusals = RefusalNotices()
    /// What does not depend on the control connection; the rest is filled in when it comes up.
    private var peerConfiguration: PeerChannelConfiguration
    private let extraSTUNServers: [PeerChannelConfiguration.STUNServerAddress]
    private var welcome: Welcome?
    /// How many there have been.
    private var connections: UInt64 = 0
    /// What was found last.
    private(set) var mapping: MappingBehavior?
    /// Of the control connection that there is, or was last; Unix time in milliseconds.
    private var connectedAt: UInt64?

    /// `announceReady` is called once, after the first registration.
    init(
        client: SignalClient, acceptor: PeerAcceptor, peerConfiguration: PeerChannelConfiguration, logger: Logger,
        announceReady: @escaping (Welcome) -> Void
    ) {
        self.client = client
        self.acceptor = acceptor
        self.peerConfiguration = peerConfiguration
        self.extraSTUNServers = peerConfiguration.stunServers
        self.logger = logger
        self.announceReady = announceReady
    }

    func signalConnected(_ session: SignalSession) {
        let isFirst = self.welcome == nil
        self.welcome = session.welcome
        self.connectedAt = UnixTime.milliseconds
        self.peerConfiguration.loopbackOnly = session.serverIsLoopback
        self.peerConfiguration.serverBridges = session.welcome.bridge
        self.acceptor.signalChanged(isUp: true, bridges: session.welcome.bridge)
        self.peerConfiguration.stunServers =
            PeerChannelConfiguration.STUNServerAddress.servers(
                reachedAt: session.remoteAddress, announced: session.welcome.stunServers) + self.extraSTUNServers
        if isFirst { self.announceReady(session.welcome) }
        self.reportMapping()
    }

    /// As it is now; `name`: the one to be registered under.
    func registration(_ name: String) -> AgentStatus.Registration {
        let expiry = self.welcome?.expireAtMilliseconds ?? 0
        return AgentStatus.Registration(
            name: self.welcome?.agentName ?? name, instance: self.welcome?.instanceID?.rawValue,
            since: self.client.session == nil ? nil : self.connectedAt, expires: expiry == 0 ? nil : expiry,
            mapping: self.mapping?.description)
    }

    /// Finds out how the NAT behaves now, and tells the server: a new connection may mean a new network, or a server that
    /// has forgotten.
    private func reportMapping() {
        self.connections += 1
        let connection = self.connections
        MappingProbe.run(MappingProbe.Configuration(self.peerConfiguration), eventLoop: self.client.eventLoop)
            .assumeIsolated().whenComplete { result in
                // The probe of a later connection knows better.
                guard connection == self.connections else { return }
                switch result {
                case .success(let report): self.found(report.mapping)
                case .failure(let error):
                    self.logger.debug("cannot find out how the NAT behaves", metadata: ["error": "\(error)"])
                }
            }
    }

    private func found(_ mapping: MappingBehavior) {
        self.client.sendEvent(.mappingReport(MappingReport(mapping: mapping)))
        let level: Logger.Level = mapping == self.mapping ? .debug : .info
        self.mapping = mapping
        self.logger.log(
            level: level, "found out how the NAT behaves: \(mapping)",
            metadata: ["event": "nat.mapping", "mapping": "\(mapping)"])
    }

    /// Peer channels live on without the control connection, and `SignalClient` says in the log that it is gone.
    func signalLost() {
        self.acceptor.signalChanged(isUp: false, bridges: false)
    }

    func signalReceived(_ request: SignalRequest) {
        switch request.body {
        case .openPeer(let offer): self.answer(request, offer)
        case .restartPeer(let restart): self.answer(request, restart)
        default: request.failUnsupported()
        }
    }

    private func answer(_ request: SignalRequest, _ restart: RestartPeer) {
        self.acceptor.restart(restart).hop(to: self.client.eventLoop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let reply): request.respond(.restartPeerReply(reply))
            case .failure(let error): request.respond(.failure(Failure(refusing: error)))
            }
        }
    }

    private func answer(_ request: SignalRequest, _ offer: OpenPeer) {
        if let refusal = self.refusal(of: offer) {
            request.respond(.failure(refusal))
            return
        }
        self.acceptor.accept(
            offer, configuration: self.peerConfiguration, signaling: AgentPeerSignaling(client: self.client)
        ).hop(to: self.client.eventLoop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let reply):
                request.respond(.openPeerReply(reply))
            case .failure(let error):
                let failure = Failure(refusing: error)
                self.log(error, failure, of: offer)
                request.respond(.failure(failure))
            }
        }
    }

    /// What clients bring about who may not come in, or who want more than their share, is told now and then only.
    private func log(_ error: any Error, _ failure: Failure, of offer: OpenPeer) {
        var metadata: Logger.Metadata = [
            "event": "peer.refused", "peer": "\(offer.peerID)", "reason": "\(failure.reason)",
        ]
        var level = Logger.Level.info
        if let refusal = error as? PeerRefusal, refusal.reason != .other {
            let key = CertificateFingerprint(bytes: offer.fingerprint)
            guard let count = self.refusals.occurred(refusal.reason, of: key, at: self.client.eventLoop.now) else {
                return
            }
            level = .warning
            metadata["reason"] = "\(refusal.reason.rawValue)"
            metadata["key"] = key.map { "\($0)" }
            metadata["count"] = .stringConvertible(count)
        }
        self.logger.log(level: level, "offer of a peer refused: \(failure.reason)", metadata: metadata)
    }

    func signalReceived(event: Envelope.Body) {
        switch event {
        case .keyGone(let gone): self.acceptor.closeAll(with: gone.fingerprint)
        case .askPeerKeys: self.acceptor.tellPeerKeys()
        default:
            // Others are of later versions, or meant for clients.
            if let message = PeerMessage(event: event) { self.acceptor.receive(message) }
        }
    }

    /// What speaks against an offer before anybody looks at its contents.
    private func refusal(of offer: OpenPeer) -> Failure? {
        guard let welcome = self.welcome, offer.name == welcome.agentName, offer.instanceID == welcome.instanceID else {
            return Failure(code: .instanceMismatch, reason: "the offer is for another instance of this agent")
        }
        return nil
    }
}

@available(*, unavailable)
extension Registrar: Sendable {}
