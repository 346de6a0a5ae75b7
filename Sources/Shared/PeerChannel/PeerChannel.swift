package import AppProto
package import Basics
import HostNetwork
import ICE
package import Logging
package import NIOCore
package import PeerPath
import TLS

/// Hears what becomes of a peer channel, on its event loop.
package protocol PeerChannelDelegate: AnyObject {
    /// The carrier is up: both sides are authenticated.
    func peerChannelConnected(_ peerID: PeerID)
    /// The peer leaves what was sent unanswered and nothing at all is heard of it, or it speaks again.
    func peerChannel(_ peerID: PeerID, isSuspect: Bool)
    /// The channel is over, or never came up. The last call; users of its carrier have been told before.
    func peerChannel(_ peerID: PeerID, closed reason: PeerChannelError)
}

extension PeerChannelDelegate {
    package func peerChannelConnected(_ peerID: PeerID) {}
    package func peerChannel(_ peerID: PeerID, isSuspect: Bool) {}
}

/// A peer channel, whatever its carrier.
package protocol AnyPeerChannel: AnyObject {
    /// Names the channel.
    var peerID: PeerID { get }
    /// How the peer is reached; nil before there is a path.
    var path: SelectedPath? { get }
    /// As measured; nil before that.
    var roundTripTime: TimeAmount? { get }
    /// What has become of it.
    var totals: ChannelTotals { get }
    /// When it was begun.
    var startedAt: NIODeadline? { get }
    /// Of the key that the other side has, or has to have; nil before it has said which.
    var peerFingerprint: CertificateFingerprint? { get }
    /// The control connection has brought something.
    func receive(_ message: PeerMessage)
    /// The control connection has come up or was lost; whether its server carries datagrams between peers.
    func signalChanged(isUp: Bool, bridges: Bool)
    /// The server asks whom the channel is with.
    func tellPeerKey()
    /// The server does not let the holder of `key` in any more, or not to this side.
    func close(ifWith key: CertificateFingerprint)
    /// Ends the channel and tells the other side.
    func close(reason: String)
}

/// One end of a peer channel: paths, a carrier on top of them, the signalling for both, and one end for all. Belongs to its
/// event loop.
///
///     control connection ─▶ receive(PeerMessage) ─▶ PathDriver ─▶ PathEngine      what is decided about paths
///     control connection ◀─ PeerSignaling ◀───────────┘   │
///                                        Carrier ◀── datagrams ──▶ sockets, bridge
///
/// Make it, set the delegate, `start` it as the client or `accept` the offer as the agent, and hand it the messages that name
/// its `peerID`. It lives from then on until the delegate has heard of its end: call `close` when it is not needed any more.
///
/// Of its seventeen stored variables seven are what it was made with.
package final class PeerChannel<Carrier: PeerCarrier>: AnyPeerChannel {
    /// What this end of the channel is.
    enum Role {
        /// Makes the offer, to this instance of an agent, and asks it for restarts.
        case client(
            name: String, instanceID: InstanceID, kind: OpenPeer.Kind, any ClientPeerSignaling, keyCheck: PeerKeyCheck?)
        /// Answers this offer.
        case agent(OpenPeer, answer: EventLoopPromise<OpenPeerReply>)
    }

    enum State {
        case new
        /// Sockets are opened, and the other side's words awaited.
        case opening(makeCarrier: (PeerCarrierContext) throws -> Carrier)
        /// Both sides know each other: a path is awaited, which a client needs for its carrier.
        case described(makeCarrier: (PeerCarrierContext) throws -> Carrier, peer: CertificateFingerprint)
        /// The carrier authenticates the other side, which has to prove this key, and itself.
        case handshaking(peer: CertificateFingerprint)
        /// The other side has proved its key, which others have to agree to.
        case admitting
        /// The carrier is up, and this machine's addresses are watched.
        case connected(AddressSubscription?)
        /// The carrier says goodbye.
        case ending(Ending)
        case over
    }

    struct Ending {
        let reason: PeerChannelError
        /// Whether the channel never came up though somebody here wanted it.
        let isTrouble: Bool
        /// What had been tried by then, when there was no path.
        let tried: ICEReport?
    }

    /// How long the carrier's handshake may take once there is a path.
    private static var handshakeTimeout: TimeAmount { .seconds(10) }

    /// Where all calls are made and all callbacks come.
    package let eventLoop: any EventLoop
    /// Names this channel in all messages about it.
    package let peerID: PeerID
    /// Not retained.
    package weak var delegate: (any PeerChannelDelegate)?
    /// `PeerChannelError.cause` of failures of earlier attempts: the same again is logged at debug only.
    package var knownCauses: Set<String> = []
    /// What runs over the path; nil before there is one.
    package private(set) var carrier: Carrier?

    let role: Role
    let configuration: PeerChannelConfiguration
    let signaling: any PeerSignaling
    let logger: Logger
    let paths: PathDriver
    var state = State.new
    /// Keeps this alive from the start to the end, so that the end is orderly even when the owner has gone.
    private var running: PeerChannel?
    /// Until the carrier is up, what ends the wait.
    var timer: Scheduled<Void>?
    package internal(set) var totals = ChannelTotals()
    /// When it was begun; nil before that.
    package private(set) var startedAt: NIODeadline?
    /// Of the key that the other side has, or has to have; nil before it has said which.
    package private(set) var peerFingerprint: CertificateFingerprint?
    /// Whether the other side has got an offer or an answer, and wants to hear of the end.
    var peerKnows = false
    /// At an agent: where the answers to the client's restarts go.
    var restarts = RestartRequests()
    /// Why there is no direct path; ends with one.
    var indirectness = Trouble<String>()

    /// The client's end of a channel of `kind` to instance `instanceID` of the agent named `agentName`.
    ///
    /// - Parameter keyCheck: who has a say in the agent's key; nil: it is the one that its answer names, whatever that is.
    package convenience init(
        agentName: String, instanceID: InstanceID, kind: OpenPeer.Kind, configuration: PeerChannelConfiguration,
        keyCheck: PeerKeyCheck? = nil, signaling: any ClientPeerSignaling, eventLoop: any EventLoop, logger: Logger
    ) {
        var logger = logger
        logger[metadataKey: "agent"] = "\(agentName)"
        self.init(
            .random(), .client,
            .client(name: agentName, instanceID: instanceID, kind: kind, signaling, keyCheck: keyCheck), configuration,
            signaling, eventLoop, logger)
    }

    /// The agent's end of a channel that a client offers.
    ///
    /// - Throws: `.endToEndProof`; answer the request with `Failure` code `.refused`.
    package convenience init(
        offer: OpenPeer, configuration: PeerChannelConfiguration, signaling: any PeerSignaling,
        eventLoop: any EventLoop, logger: Logger
    ) throws(PeerChannelError) {
        try PeerOffer.verify(offer, key: configuration.e2eKey)
        self.init(
            offer.peerID, .agent, .agent(offer, answer: eventLoop.makePromise()), configuration, signaling, eventLoop,
            logger)
    }

    private init(
        _ peerID: PeerID, _ side: PeerSide, _ role: Role, _ configuration: PeerChannelConfiguration,
        _ signaling: any PeerSignaling, _ eventLoop: any EventLoop, _ logger: Logger
    ) {
        self.peerID = peerID
        self.role = role
        self.configuration = configuration
        self.signaling = signaling
        self.eventLoop = eventLoop
        var logger = logger
        logger[metadataKey: "peer"] = "\(peerID)"
        self.logger = logger
        self.paths = PathDriver(side: side, configuration: configuration, eventLoop: eventLoop, logger: logger) {
            signaling.sendBridge(Bridge(peerID: peerID, datagrams: $0, segmentSize: $1))
        }
    }

    deinit {
        // One that was never started.
        if case .agent(_, let answer) = self.role { answer.fail(PeerChannelError.closedHere(reason: "released")) }
    }

    /// Whether the carrier is up.
    package var isConnected: Bool { self.carrier?.isConnected ?? false }
    /// How the peer is reached; nil before there is a path.
    package var path: SelectedPath? { self.paths.engine.route?.path }

    /// As the carrier measures it, or else the path; nil before that.
    package var roundTripTime: TimeAmount? { self.carrier?.roundTripTime ?? self.paths.roundTripTime }

    // MARK: Course

    /// As the client: offers the channel, looks for a path and connects the carrier. Call once.
    ///
    /// - Parameter makeCarrier: makes the carrier that belongs to the channel's kind, once there is a path.
    package func start(_ makeCarrier: @escaping (PeerCarrierContext) throws -> Carrier) {
        guard case .new = self.state else { return }
        self.state = .opening(makeCarrier: makeCarrier)
        self.running = self
        self.startedAt = self.eventLoop.now
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(
            in: self.configuration.pathTimeout + Self.handshakeTimeout
        ) { [weak self] in self?.end(.handshakeTimedOut, tellingPeer: true) }
        self.paths.delegate = self
        self.paths.tell { engine, _ in engine.start() }
    }

    /// As the agent: opens sockets and starts to look for a path. Call once. The future, on `eventLoop`, brings the answer to
    /// send to the client, or fails with a `PeerChannelError`, of which the delegate hears too.
    ///
    /// - Parameter makeCarrier: makes the carrier that belongs to the offer's kind.
    package func accept(
        _ makeCarrier: @escaping (PeerCarrierContext) throws -> Carrier
    ) -> EventLoopFuture<OpenPeerReply> {
        guard case .agent(_, let answer) = self.role else {
            return self.eventLoop.makeFailedFuture(PeerChannelError.badOffer("a client answers no offer"))
        }
        self.start(makeCarrier)
        return answer.futureResult
    }

    /// The other side's words are known.
    ///
    /// - Throws: `.badOffer` when they make no sense; `.noBridge` when nothing but the bridge may be used, and that can't.
    func connect(
        ice: IceParameters, candidates: [Candidate], fingerprint: [UInt8], bridge: Bool, paddedChecks: Bool
    ) throws(PeerChannelError) {
        guard case .opening(let makeCarrier) = self.state else { return }
        guard let fingerprint = CertificateFingerprint(bytes: fingerprint) else {
            throw .badOffer("a fingerprint of 32 bytes is missing")
        }
        if case .client(_, _, _, _, let check?) = self.role, let objection = check.objection(fingerprint) {
            throw .keyRefused(objection)
        }
        let peer = try PathDescription(generation: 0, ice: ice, candidates: candidates, bridges: bridge)
        self.state = .described(makeCarrier: makeCarrier, peer: fingerprint)
        self.peerFingerprint = fingerprint
        // The client speaks first, as soon as it can; the agent has to be there by then.
        if case .agent = self.role { self.startCarrier() }
        self.paths.tell { $0.receive(.description(peer, answersPadding: paddedChecks), at: $1) }
        if let failure = self.paths.engine.failure { throw self.error(of: failure) }
    }

    func startCarrier() {
        guard case .described(let makeCarrier, let fingerprint) = self.state else { return }
        self.state = .handshaking(peer: fingerprint)
        do {
            let carrier = try makeCarrier(
                PeerCarrierContext(
                    side: self.side, peerFingerprint: fingerprint, configuration: self.configuration,
                    eventLoop: self.eventLoop, path: self.paths))
            carrier.carrierDelegate = self
            self.carrier = carrier
        } catch {
            self.end(.badOffer("the channel cannot be set up: \(error)"), tellingPeer: true)
        }
    }

    private var side: PeerSide { if case .client = self.role { .client } else { .agent } }

    /// Whether the end has begun.
    var isEnding: Bool {
        switch self.state {
        case .ending, .over: true
        case .new, .opening, .described, .handshaking, .admitting, .connected: false
        }
    }

    // MARK: The end

    /// Ends the channel and tells the other side. The delegate hears `.closedHere`.
    package func close(reason: String) {
        self.end(.closedHere(reason: reason), tellingPeer: true)
    }

    /// Ends everything, once. The delegate hears of it when the carrier has said goodbye.
    func end(_ reason: PeerChannelError, tellingPeer: Bool) {
        guard !self.isEnding else { return }
        self.state = .ending(
            Ending(
                reason: reason, isTrouble: self.isTrouble(reason),
                tried: self.path == nil ? self.paths.engine.report : nil))
        self.timer?.cancel()
        self.timer = nil
        self.restarts.failAll(.unknownToPeer)
        if tellingPeer, self.peerKnows {
            self.signaling.sendEvent(.closePeer(ClosePeer(peerID: self.peerID, reason: reason.wordsForPeer)))
        }
        if let carrier = self.carrier, !carrier.isClosed {
            carrier.close(saying: reason.wordsForPeer)
        } else {
            self.eventLoop.assumeIsolated().execute { self.finish() }
        }
    }

    func finish() {
        guard case .ending(let ending) = self.state else { return }
        self.state = .over
        self.running = nil
        self.paths.close()
        if ending.isTrouble { self.totals.failed = 1 }
        self.log(ending)
        if case .agent(_, let answer) = self.role { answer.fail(ending.reason) }
        self.delegate?.peerChannel(self.peerID, closed: ending.reason)
    }

    /// A channel that never came up is trouble, unless somebody here wanted none any more.
    private func isTrouble(_ reason: PeerChannelError) -> Bool {
        if case .closedHere = reason { return false }
        if case .connected = self.state { return false }
        return true
    }

    private func log(_ ending: Ending) {
        let (reason, isTrouble) = (ending.reason, ending.isTrouble)
        // The same trouble again is no news. Who has refused a key has told of it.
        let isTold = if case .keyRefused = reason { true } else { self.knownCauses.contains(reason.cause) }
        let isKnown = isTrouble && isTold
        self.logger.log(
            level: isKnown ? .debug : isTrouble ? .warning : .info,
            isTrouble ? "no channel to the peer: \(reason)" : "peer channel closed: \(reason)",
            metadata: ["event": "peer.closed", "reason": "\(reason)"])
        // The other side may be the first to give up, and says so; what was tried from here is worth knowing all the same.
        // When it has not even answered there is nothing to tell.
        let tried = ending.tried.flatMap { isTrouble && $0.hasRemoteCredentials ? $0 : nil }
        if let report = reason.report ?? tried {
            self.logger.log(
                level: isKnown ? .debug : .info, "paths to the peer that were tried",
                metadata: self.paths.engine.pathReport(report).metadata)
        }
    }

    /// At once, with all that was tried, and again every five minutes.
    func logNoDirectPath(_ report: PathReport) {
        let news = self.indirectness.occurred(report.cause, at: self.eventLoop.now)
        var metadata = report.metadata
        metadata["cause"] = "\(report.cause)"
        var time = ""
        if case .lasts(let length)? = news {
            metadata["for_s"] = .stringConvertible(length.wholeSeconds)
            if length >= Self.remarkableTime { time = " for \(length.words) now" }
            metadata["report"] = nil
        }
        let detour = self.path == .bridge ? ", traffic goes by way of the server" : ""
        self.logger.log(
            level: news == nil ? .debug : .info, "no direct path to the peer\(time)\(detour): \(report.cause)",
            metadata: metadata)
    }

    /// Trouble that lasts is told with its length from so long on.
    private static var remarkableTime: TimeAmount { .minutes(1) }
}

@available(*, unavailable)
extension PeerChannel: Sendable {}
