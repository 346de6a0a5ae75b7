package import AppProto
package import Logging
package import NIOCore

/// Hears what becomes of a client's peer channel, on its event loop.
package protocol PeerClientChannelDelegate: AnyObject {
    /// The carrier is up and authenticated.
    func peerChannelConnected(_ peerID: PeerID)
    /// The channel is over, or never came up. The last call; users of its carrier have been told before.
    func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError)
}

/// The client's end of a peer channel: path, carrier and the signalling for both. Belongs to its event loop.
///
/// Make it, set the delegate, call `start`, and hand it the `PeerCandidate` and `ClosePeer` events that name its
/// `peerID`. Hold it until the delegate has heard of its end: releasing it closes it.
package final class PeerClientChannel<Carrier: PeerCarrier> {
    /// Where all calls are made and all callbacks come.
    package let eventLoop: any EventLoop
    /// Not retained.
    package weak var delegate: (any PeerClientChannelDelegate)?

    let core: PeerChannelCore<Carrier>
    private let agentName: String
    private let instanceID: InstanceID
    private let kind: OpenPeer.Kind
    private var hasStarted = false

    /// A channel of `kind` to instance `instanceID` of the agent named `agentName`. Nothing happens before `start`.
    package init(
        agentName: String, instanceID: InstanceID, kind: OpenPeer.Kind, configuration: PeerChannelConfiguration,
        signaling: any PeerSignaling, eventLoop: any EventLoop, logger: Logger
    ) {
        var logger = logger
        logger[metadataKey: "agent"] = "\(agentName)"
        self.agentName = agentName
        self.instanceID = instanceID
        self.kind = kind
        self.eventLoop = eventLoop
        self.core = PeerChannelCore(
            peerID: .random(), side: .client, configuration: configuration, signaling: signaling,
            eventLoop: eventLoop, logger: logger)
        self.core.delegate = self
        self.core.agent = (agentName, instanceID)
    }

    deinit {
        self.core.release()
    }

    /// Names this channel in all messages about it.
    package var peerID: PeerID { self.core.peerID }

    /// `PeerChannelError.cause` of failures of earlier attempts: the same again is logged at debug only.
    package var knownCauses: Set<String> {
        get { self.core.knownCauses }
        set { self.core.knownCauses = newValue }
    }

    /// Gathers, offers, looks for a path and connects the carrier. Call once.
    ///
    /// - Parameter makeCarrier: makes the carrier that belongs to the channel's kind, once there is a path.
    package func start(_ makeCarrier: @escaping (PeerCarrierContext) throws -> Carrier) {
        precondition(!self.hasStarted, "a peer channel is started once")
        self.hasStarted = true
        self.core.open(makeCarrier) { [weak self] in self?.sendOffer() }
    }

    /// A candidate of the agent arrived.
    package func receive(_ candidate: PeerCandidate) {
        self.core.receive(candidate)
    }

    /// The agent ended the channel.
    package func receive(_ close: ClosePeer) {
        self.core.receive(close)
    }

    /// Datagrams of the agent arrived by way of the server.
    package func receive(_ bridge: Bridge) {
        self.core.receive(bridge)
    }

    /// The agent asks for a new ICE session.
    package func receive(_ wanted: RestartWanted) {
        self.core.receive(wanted)
    }

    /// The agent, which had left the server's registry, is registered again: the channel's route through the server is
    /// restored at once.
    package func agentCameBack() {
        self.core.agentCameBack()
    }

    /// The control connection has come up or was lost.
    ///
    /// - Parameter bridges: whether its server carries datagrams between peers.
    package func signalChanged(isUp: Bool, bridges: Bool) {
        self.core.signalChanged(isUp: isUp, bridges: bridges)
    }

    /// What runs over the path; nil before there is one.
    package var carrier: Carrier? { self.core.carrier }
    /// Whether the carrier is up.
    package var isConnected: Bool { self.carrier?.isConnected ?? false }
    /// How the peer is reached; nil before there is a path.
    package var path: PeerPath? { self.core.transport?.path }

    /// Ends the channel and tells the agent. The delegate hears `.closedHere`.
    package func close(reason: String) {
        self.core.end(.closedHere(reason: reason), tellingPeer: true)
    }

    // MARK: Offer and answer

    private func sendOffer() {
        guard let local = self.core.localDescription else {
            return
        }
        let configuration = self.core.configuration
        var offer = OpenPeer(
            peerID: self.peerID, name: self.agentName, instanceID: self.instanceID, ice: local.ice,
            candidates: local.candidates, fingerprint: configuration.identity.leafFingerprint.bytes,
            kind: self.kind)
        offer.bridge = self.core.bridgesHere
        offer.paddedChecks = true
        if let key = configuration.e2eKey {
            offer.e2eMAC = PeerOffer.mac(of: offer, key: key)
        }
        let offerMAC = offer.e2eMAC
        self.core.signaling.openPeer(offer).hop(to: self.eventLoop).assumeIsolated().whenComplete {
            [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let answer): self.received(answer, offerMAC: offerMAC)
            // There is nobody on the other side who would want to hear of the end.
            case .failure(let error): self.core.end(.offerFailed(error), tellingPeer: false)
            }
        }
        self.core.gather()
    }

    private func received(_ answer: OpenPeerReply, offerMAC: [UInt8]) {
        do throws(PeerChannelError) {
            guard answer.peerID == self.peerID else {
                throw .badOffer("the answer names another channel")
            }
            try PeerOffer.verify(answer, offerMAC: offerMAC, key: self.core.configuration.e2eKey)
            try self.core.connect(
                ice: answer.ice, candidates: answer.candidates, fingerprint: answer.fingerprint, bridge: answer.bridge,
                paddedChecks: answer.paddedChecks)
        } catch {
            self.core.end(error, tellingPeer: true)
        }
    }
}

@available(*, unavailable)
extension PeerClientChannel: Sendable {}

extension PeerClientChannel: PeerChannelCoreDelegate {
    func coreConnected() {
        self.delegate?.peerChannelConnected(self.peerID)
    }

    func coreClosed(_ reason: PeerChannelError) {
        self.delegate?.peerChannel(self.peerID, closed: reason)
    }
}
