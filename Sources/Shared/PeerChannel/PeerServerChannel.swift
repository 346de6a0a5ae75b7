package import AppProto
package import Logging
package import NIOCore

/// Hears what happens on an agent's peer channel, on its event loop.
package protocol PeerServerChannelDelegate: AnyObject {
    /// The tunnel is up: the client is authenticated.
    func peerChannelConnected(_ channel: PeerServerChannel)
    /// The client wants a TCP connection. Answer with `request.accept` or `request.refuse`, now or later.
    func peerChannel(_ channel: PeerServerChannel, requested request: TunnelRequest)
    /// The channel is over, or never came up. The last call; its streams have been told before.
    func peerChannel(_ channel: PeerServerChannel, closed reason: PeerChannelError)
}

extension PeerServerChannelDelegate {
    package func peerChannelConnected(_ channel: PeerServerChannel) {}
}

/// The agent's end of a peer channel. Belongs to its event loop.
///
/// Make it from an offer, set the delegate, answer the offer with what `start` brings, and hand it the
/// `PeerCandidate` and `ClosePeer` events that name its `peerID`. Hold it until the delegate has heard of its end:
/// releasing it closes it.
package final class PeerServerChannel {
    /// Where all calls are made and all callbacks come.
    package let eventLoop: any EventLoop
    /// Not retained.
    package weak var delegate: (any PeerServerChannelDelegate)?

    let core: PeerChannelCore
    private let offer: OpenPeer
    private var answer: EventLoopPromise<OpenPeerReply>?

    /// Looks at a client's offer. Nothing happens before `start`.
    ///
    /// - Throws: `.endToEndProof` or `.badOffer`; answer the request with `Failure` code `.refused` (or
    ///   `.kindUnsupported` when `offer.kind` is nil).
    package init(
        offer: OpenPeer, configuration: PeerChannelConfiguration, signaling: any PeerSignaling,
        eventLoop: any EventLoop, logger: Logger
    ) throws(PeerChannelError) {
        guard offer.kind == .quicTunnel else {
            throw .badOffer("it asks for a kind of channel that this version does not know")
        }
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
    package func start() -> EventLoopFuture<OpenPeerReply> {
        precondition(self.answer == nil, "a peer channel is started once")
        let promise = self.eventLoop.makePromise(of: OpenPeerReply.self)
        self.answer = promise
        self.core.open { [weak self] in self?.sendAnswer() }
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

    /// How many streams are open.
    package var openStreams: Int { self.core.tunnel?.openStreams ?? 0 }
    /// How the peer is reached; nil before there is a path.
    package var path: PeerPath? { self.core.transport?.path }

    /// Ends the channel: streams are reset, the client is told. The delegate hears `.closedHere`.
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
                ice: self.offer.ice, candidates: self.offer.candidates, fingerprint: self.offer.fingerprint)
        } catch {
            return self.core.end(error, tellingPeer: false)
        }
        let configuration = self.core.configuration
        var answer = OpenPeerReply(
            peerID: self.peerID, ice: local.ice, candidates: local.candidates,
            fingerprint: configuration.identity.leafFingerprint.bytes)
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
        self.delegate?.peerChannelConnected(self)
    }

    func coreReceived(_ request: TunnelRequest) {
        guard let delegate = self.delegate else {
            return request.refuse(.failed, reason: "the agent is closing")
        }
        delegate.peerChannel(self, requested: request)
    }

    func coreClosed(_ reason: PeerChannelError) {
        self.answer?.fail(reason)
        self.answer = nil
        self.delegate?.peerChannel(self, closed: reason)
    }
}
