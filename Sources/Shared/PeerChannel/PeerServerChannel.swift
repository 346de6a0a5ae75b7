package import AppProto
package import Logging
package import NIOCore

/// Hears what happens on an agent's peer channel, on its event loop.
package protocol PeerServerChannelDelegate: AnyObject {
    /// The carrier is up: the client is authenticated.
    func peerChannelConnected(_ peerID: PeerID)
    /// The channel is over, or never came up. The last call; users of its carrier have been told before.
    func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError)
}

extension PeerServerChannelDelegate {
    package func peerChannelConnected(_ peerID: PeerID) {}
}

/// The agent's end of a peer channel. Belongs to its event loop.
///
/// Make it from an offer, set the delegate, answer the offer with what `start` brings, and hand it the
/// `PeerCandidate` and `ClosePeer` events that name its `peerID`. Hold it until the delegate has heard of its end:
/// releasing it closes it.
package final class PeerServerChannel<Carrier: PeerCarrier> {
    /// Where all calls are made and all callbacks come.
    package let eventLoop: any EventLoop
    /// Not retained.
    package weak var delegate: (any PeerServerChannelDelegate)?

    let core: PeerChannelCore<Carrier>
    private let offer: OpenPeer
    private var answer: EventLoopPromise<OpenPeerReply>?

    /// Looks at a client's offer. Nothing happens before `start`.
    ///
    /// - Throws: `.endToEndProof`; answer the request with `Failure` code `.refused`.
    package init(
        offer: OpenPeer, configuration: PeerChannelConfiguration, signaling: any PeerSignaling,
        eventLoop: any EventLoop, logger: Logger
    ) throws(PeerChannelError) {
        try PeerOffer.verify(offer, key: configuration.e2eKey)
        self.offer = offer
        self.eventLoop = eventLoop
        self.core = PeerChannelCore(
            peerID: offer.peerID, side: .agent, configuration: configuration, signaling: signaling,
            eventLoop: eventLoop, logger: logger)
        self.core.delegate = self
    }

    deinit {
        self.core.release()
        self.answer?.fail(PeerChannelError.closedHere(reason: "released"))
    }

    /// The name that the client gave the channel.
    package var peerID: PeerID { self.core.peerID }

    /// Opens sockets and starts to look for a path. Call once. The future, on `eventLoop`, brings the answer to send
    /// to the client, or fails with a `PeerChannelError`, of which the delegate hears too.
    ///
    /// - Parameter makeCarrier: makes the carrier that belongs to the offer's kind.
    package func start(
        _ makeCarrier: @escaping (PeerCarrierContext) throws -> Carrier
    ) -> EventLoopFuture<OpenPeerReply> {
        precondition(self.answer == nil, "a peer channel is started once")
        let promise = self.eventLoop.makePromise(of: OpenPeerReply.self)
        self.answer = promise
        self.core.open(makeCarrier) { [weak self] in self?.sendAnswer() }
        return promise.futureResult
    }

    /// A candidate of the client arrived.
    package func receive(_ candidate: PeerCandidate) {
        self.core.receive(candidate)
    }

    /// The client ended the channel.
    package func receive(_ close: ClosePeer) {
        self.core.receive(close)
    }

    /// Datagrams of the client arrived by way of the server.
    package func receive(_ bridge: Bridge) {
        self.core.receive(bridge)
    }

    /// The client wants a new ICE session, or just its route through the server. The future, on `eventLoop`, brings the
    /// answer to send to it, or fails with a `PeerChannelError`.
    package func receive(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply> {
        self.core.accept(restart)
    }

    /// The control connection has come up or was lost.
    ///
    /// - Parameter bridges: whether its server carries datagrams between peers.
    package func signalChanged(isUp: Bool, bridges: Bool) {
        self.core.signalChanged(isUp: isUp, bridges: bridges)
    }

    /// What runs over the path; nil before the answer.
    package var carrier: Carrier? { self.core.carrier }
    /// How the peer is reached; nil before there is a path.
    package var path: PeerPath? { self.core.transport?.path }

    /// Ends the channel and tells the client. The delegate hears `.closedHere`.
    package func close(reason: String) {
        self.core.end(.closedHere(reason: reason), tellingPeer: true)
    }

    // MARK: Answer

    private func sendAnswer() {
        guard let local = self.core.localDescription else {
            return
        }
        do throws(PeerChannelError) {
            try self.core.connect(
                ice: self.offer.ice, candidates: self.offer.candidates, fingerprint: self.offer.fingerprint,
                bridge: self.offer.bridge, paddedChecks: self.offer.paddedChecks)
        } catch {
            return self.core.end(error, tellingPeer: false)
        }
        let configuration = self.core.configuration
        var answer = OpenPeerReply(
            peerID: self.peerID, ice: local.ice, candidates: local.candidates,
            fingerprint: configuration.identity.leafFingerprint.bytes)
        answer.bridge = self.core.bridgesHere
        answer.paddedChecks = true
        if let key = configuration.e2eKey {
            answer.e2eMAC = PeerOffer.mac(of: answer, offerMAC: self.offer.e2eMAC, key: key)
        }
        self.answer?.succeed(answer)
        self.answer = nil
        // Only now: candidates are to arrive behind the answer.
        self.core.gather()
    }
}

@available(*, unavailable)
extension PeerServerChannel: Sendable {}

extension PeerServerChannel: PeerChannelCoreDelegate {
    func coreConnected() {
        self.delegate?.peerChannelConnected(self.peerID)
    }

    func coreClosed(_ reason: PeerChannelError) {
        self.answer?.fail(reason)
        self.answer = nil
        self.delegate?.peerChannel(self.peerID, closed: reason)
    }
}
