import AppProto
import HostNetwork
import ICE
import Logging
import NIOCore
import NameResolution
import TLS

/// Hears what a core has to say, on its event loop.
protocol PeerChannelCoreDelegate: AnyObject {
    func coreConnected()
    func coreClosed(_ reason: PeerChannelError)
}

/// What both ends of a peer channel have in common: a transport, a carrier on top of it, trickling, and one end for all.
final class PeerChannelCore<Carrier: PeerCarrier> {
    /// How long the carrier's handshake may take once there is a path.
    private static var handshakeTimeout: TimeAmount { .seconds(10) }
    /// How often the carrier is asked whether it misses answers.
    private static var watchInterval: TimeAmount { .seconds(1) }
    /// Most candidates kept that arrive before the sockets are open.
    private static var maximumEarlyCandidates: Int { 64 }

    let peerID: PeerID
    let eventLoop: any EventLoop
    let configuration: PeerChannelConfiguration
    let signaling: any PeerSignaling
    weak var delegate: (any PeerChannelCoreDelegate)?
    /// Causes of failure that need not be said loudly again.
    var knownCauses: Set<String> = []
    private(set) var carrier: Carrier?
    private(set) var transport: PeerTransport?

    let side: PeerSide
    var logger: Logger
    /// Set when the end has begun.
    private(set) var ending: PeerChannelError?
    private(set) var isConnected = false
    /// Whether the control connection is there, and its server bridges.
    private(set) var signalIsUp = true
    private var serverBridges: Bool
    private var peerBridges = false
    /// What the peer has said of its NAT.
    private(set) var peerMapping = MappingBehavior.unknown
    /// How many sockets it would open against such a NAT.
    private(set) var peerSpread: UInt32 = 0
    /// What gathering has found out of ours.
    private(set) var localMapping = MappingBehavior.unknown
    var restarts = RestartSchedule()
    var restartTimer: (deadline: NIODeadline, task: Scheduled<Void>)?
    /// At the agent: the client's requests for sessions, and the timer for the one that has to wait.
    var sessionGate = SessionGate<SessionRequest>()
    var sessionTimer: Scheduled<Void>?
    /// Whom the client's end asks for restarts.
    var agent: (name: String, instanceID: InstanceID)?
    /// Set when the sockets of the first session could not be opened.
    private var lacksSession = false
    /// Said once at `info`, and at `debug` from then on.
    var hasSaidNoDirectPath = false

    private var makeCarrier: ((PeerCarrierContext) throws -> Carrier)?
    private var early: [PeerCandidate] = []
    private var deadline: Scheduled<Void>?
    private var watch: Scheduled<Void>?
    private var addresses: AddressSubscription?
    private var peerFingerprint: CertificateFingerprint?
    /// What had been tried by then, when there was no path yet.
    private var unfinishedReport: ICEReport?
    private var isOver = false
    /// Keeps this alive from `open` to the end, so that the end is orderly even when the owner has gone.
    private var running: PeerChannelCore?

    init(
        peerID: PeerID, side: PeerSide, configuration: PeerChannelConfiguration, signaling: any PeerSignaling,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.peerID = peerID
        self.side = side
        self.configuration = configuration
        self.signaling = signaling
        self.eventLoop = eventLoop
        self.logger = logger
        self.logger[metadataKey: "peer"] = "\(peerID)"
        self.serverBridges = configuration.serverBridges
    }

    /// What an offer or answer says about us; nil before `open` has succeeded.
    var localDescription: (ice: IceParameters, candidates: [Candidate])? {
        guard let transport = self.transport else {
            return nil
        }
        return (IceParameters(transport.localCredentials), transport.localCandidates.forMessage)
    }

    /// Whether this side takes datagrams by way of the server.
    var bridgesHere: Bool { self.configuration.pathChoice != .direct && self.serverBridges }

    // MARK: Course

    /// Opens the sockets, then calls `opened`, unless the channel has ended by then. `makeCarrier` is called at most once,
    /// when it is time for the carrier.
    func open(
        _ makeCarrier: @escaping (PeerCarrierContext) throws -> Carrier, opened: @escaping () -> Void
    ) {
        guard self.ending == nil else {
            return
        }
        self.makeCarrier = makeCarrier
        self.running = self
        self.deadline = self.eventLoop.assumeIsolated().scheduleTask(
            in: self.configuration.pathTimeout + Self.handshakeTimeout
        ) { [weak self] in
            self?.end(.handshakeTimedOut, tellingPeer: true)
        }
        let peerID = self.peerID
        let signaling = self.signaling
        let transport = PeerTransport(
            role: self.side == .client ? .controlling : .controlled, configuration: self.configuration,
            eventLoop: self.eventLoop, logger: self.logger
        ) { bytes, segmentSize in
            signaling.sendBridge(Bridge(peerID: peerID, datagrams: bytes, segmentSize: segmentSize))
        }
        guard self.configuration.pathChoice != .bridge else {
            return self.opened(transport, nil, then: opened)
        }
        self.openSession(0, of: transport) { result in
            switch result {
            case .success(let session): self.opened(transport, session, then: opened)
            case .failure(let error) where self.bridgesHere:
                self.logger.debug("no direct path can be looked for", metadata: ["error": "\(error)"])
                self.lacksSession = true
                self.opened(transport, nil, then: opened)
            case .failure(let error): self.end(error, tellingPeer: false)
            }
        }
    }

    /// Opens the sockets of a session; `completion` is called once, in a later turn of the loop.
    func openSession(
        _ generation: UInt32, of transport: PeerTransport,
        _ completion: @escaping (Result<DirectSession, PeerChannelError>) -> Void
    ) {
        DirectSession.open(
            generation: generation, role: transport.role, configuration: self.configuration, eventLoop: self.eventLoop,
            logger: self.logger, peerAnswersPadding: { [weak transport] in transport?.peerAnswersPadding ?? false }
        ).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let bound): completion(.success(bound.value))
            case .failure(let error): completion(.failure(error as? PeerChannelError ?? .noSocket("\(error)")))
            }
        }
    }

    private func opened(_ transport: PeerTransport, _ session: DirectSession?, then opened: () -> Void) {
        guard self.ending == nil else {
            session?.close()
            return transport.close()
        }
        self.transport = transport
        transport.delegate = self
        if let session { transport.adopt(session) }
        opened()
        self.receiveEarlyCandidates()
    }

    /// Looks for reflexive candidates of a session; without one says that there will be none.
    func gather(_ session: DirectSession?) {
        guard let session else {
            return self.signaling.sendCandidate(PeerCandidate(endOfCandidatesOf: self.peerID))
        }
        // With everything on one machine there is no NAT to see through.
        let servers = self.configuration.loopbackOnly ? [] : self.configuration.stunServers
        session.gather(from: servers.map { NameResolver.shared.lookUp($0.host, port: $0.port, on: self.eventLoop) })
    }

    /// Looks for reflexive candidates of the first session.
    func gather() { self.gather(self.transport?.current) }

    /// The other side's words are known: checks begin, and the carrier follows as soon as there is a path.
    ///
    /// - Parameters:
    ///   - bridge: whether the peer takes datagrams by way of the server.
    ///   - paddedChecks: whether it answers padded checks.
    /// - Throws: `.badOffer` when they make no sense; `.noBridge` when nothing but the bridge may be used, and that can't.
    func connect(
        ice: IceParameters, candidates: [Candidate], fingerprint: [UInt8], bridge: Bool, paddedChecks: Bool
    ) throws(PeerChannelError) {
        guard let fingerprint = CertificateFingerprint(bytes: fingerprint) else {
            throw .badOffer("a fingerprint of 32 bytes is missing")
        }
        let credentials = try ICECredentials(ice)
        self.peerBridges = bridge
        if self.configuration.pathChoice == .bridge, !self.serverBridges {
            throw .noBridge("the server does not carry datagrams (--no-bridge)")
        }
        if self.configuration.pathChoice == .bridge, !bridge {
            throw .noBridge("the other side wants direct paths only (--p2p direct)")
        }
        self.peerFingerprint = fingerprint
        self.transport?.peerAnswersPadding = paddedChecks
        if self.side == .agent {
            self.startCarrier()
        }
        if let session = self.transport?.current {
            self.start(session, credentials, candidates)
        }
        self.updateBridge()
    }

    /// Tells a session all that is known of the peer.
    func start(_ session: DirectSession, _ credentials: ICECredentials, _ candidates: [Candidate]) {
        for candidate in candidates {
            if let candidate = ICECandidate(candidate) { session.addRemote(candidate: candidate) }
        }
        session.setRemote(credentials: credentials)
    }

    /// The peer has changed its mind, or the answer to a restart confirms it.
    func setPeerBridges(_ bridges: Bool) {
        self.peerBridges = bridges
        self.updateBridge()
    }

    private func updateBridge() {
        self.transport?.setBridge(
            !self.bridgesHere || !self.peerBridges ? .unavailable : self.signalIsUp ? .up : .down)
    }

    private func startCarrier() {
        guard let makeCarrier = self.makeCarrier, self.ending == nil, let fingerprint = self.peerFingerprint,
            let transport = self.transport
        else {
            return
        }
        self.makeCarrier = nil
        do {
            let carrier = try makeCarrier(
                PeerCarrierContext(
                    side: self.side, peerFingerprint: fingerprint, configuration: self.configuration,
                    eventLoop: self.eventLoop, path: transport))
            carrier.carrierDelegate = self
            self.carrier = carrier
        } catch {
            self.end(.badOffer("the channel cannot be set up: \(error)"), tellingPeer: true)
        }
    }

    // MARK: Signalling

    func receive(_ candidate: PeerCandidate) {
        guard self.ending == nil else { return }
        guard let transport = self.transport, candidate.generation <= self.restarts.generation else {
            // Those of a restart that came to nothing.
            self.early.removeAll { $0.generation < self.restarts.generation }
            if self.early.count < Self.maximumEarlyCandidates { self.early.append(candidate) }
            return
        }
        if candidate.endOfCandidates {
            self.peerMapping = candidate.mapping
            self.peerSpread = candidate.spread
        }
        guard let session = transport.session(candidate.generation) else { return }
        if let candidate = candidate.candidate.flatMap({ ICECandidate($0) }) {
            session.addRemote(candidate: candidate)
        }
        if candidate.endOfCandidates {
            session.peerHasEnded(with: self.peerMapping, spread: Int(clamping: self.peerSpread))
            session.remoteCandidatesEnded()
        }
    }

    /// Candidates that came before the session that they are for.
    func receiveEarlyCandidates() {
        let early = self.early
        self.early = []
        for candidate in early { self.receive(candidate) }
    }

    /// Datagrams came by way of the server.
    func receive(_ bridge: Bridge) {
        self.transport?.receiveFromBridge(bridge.datagrams, segmentSize: bridge.segmentSize)
    }

    /// The control connection has come up or was lost.
    ///
    /// - Parameter bridges: whether its server carries datagrams.
    func signalChanged(isUp: Bool, bridges: Bool) {
        let isBack = isUp && !self.signalIsUp
        self.signalIsUp = isUp
        if isUp { self.serverBridges = bridges }
        self.updateBridge()
        // The server has forgotten the channel along with the connection that it was set up on.
        if isBack { self.signalCameBack() }
    }

    func receive(_ close: ClosePeer) {
        self.end(.closedByPeer(reason: close.reason), tellingPeer: false)
    }

    // MARK: The end

    /// Ends everything, once. The delegate hears of it when the carrier has said goodbye.
    func end(_ reason: PeerChannelError, tellingPeer: Bool) {
        guard self.ending == nil else {
            return
        }
        self.ending = reason
        if let transport = self.transport, transport.path == nil { self.unfinishedReport = transport.report }
        self.deadline?.cancel()
        self.deadline = nil
        self.watch?.cancel()
        self.watch = nil
        self.addresses = nil
        self.restartTimer?.task.cancel()
        self.restartTimer = nil
        self.sessionTimer?.cancel()
        self.sessionTimer = nil
        self.sessionGate.withdraw()?.promise.fail(PeerChannelError.unknownToPeer)
        self.early = []
        if tellingPeer, self.running != nil {
            self.signaling.sendClose(ClosePeer(peerID: self.peerID, reason: reason.wordsForPeer))
        }
        if let carrier = self.carrier, !carrier.isClosed {
            carrier.close(saying: reason.wordsForPeer)
        } else {
            self.eventLoop.assumeIsolated().execute { self.finish() }
        }
    }

    /// The owner has gone: ends what is still there.
    func release() {
        if self.running != nil {
            self.end(.closedHere(reason: "released"), tellingPeer: true)
        }
    }

    private func finish() {
        guard let reason = self.ending, !self.isOver else {
            return
        }
        self.isOver = true
        self.running = nil
        self.makeCarrier = nil
        self.transport?.close()
        self.transport = nil
        self.log(reason)
        self.delegate?.coreClosed(reason)
    }

    private func log(_ reason: PeerChannelError) {
        // A channel that never came up is trouble, unless somebody here wanted none any more; the same trouble again is
        // no news.
        let isTrouble =
            switch reason {
            case .closedHere: false
            default: !self.isConnected
            }
        let isKnown = isTrouble && self.knownCauses.contains(reason.cause)
        self.logger.log(
            level: isKnown ? .debug : isTrouble ? .warning : .info, "peer channel closed",
            metadata: ["event": "peer.closed", "reason": "\(reason)"])
        // The other side may be the first to give up, and says so; what was tried from here is worth knowing all the same.
        // When it has not even answered there is nothing to tell.
        let unfinished = self.unfinishedReport.flatMap { isTrouble && $0.hasRemoteCredentials ? $0 : nil }
        if let report = reason.report ?? unfinished {
            self.logger.log(
                level: isKnown ? .debug : .info, "paths to the peer that were tried",
                metadata: self.metadata(of: report))
        }
    }
}

@available(*, unavailable)
extension PeerChannelCore: Sendable {}

extension PeerChannelCore: PeerTransportDelegate {
    func transport(_ transport: PeerTransport, gathered candidate: ICECandidate, generation: UInt32) {
        var message = PeerCandidate(peerID: self.peerID, candidate: Candidate(candidate))
        message.generation = generation
        self.signaling.sendCandidate(message)
    }

    func transport(_ transport: PeerTransport, gatheringEndedWith mapping: MappingBehavior, generation: UInt32) {
        var message = PeerCandidate(endOfCandidatesOf: self.peerID)
        message.generation = generation
        message.mapping = mapping
        message.spread = UInt32(clamping: self.configuration.spread)
        self.localMapping = mapping
        self.signaling.sendCandidate(message)
    }

    func transport(_ transport: PeerTransport, pathChangedFrom old: PeerPath?, reason: PathChangeReason) {
        if transport.usesDirectPath { self.restarts.foundDirectPath() }
        if self.side == .client, transport.path != nil {
            self.startCarrier()
        }
        self.carrier?.pathChanged()
        guard self.isConnected else { return }
        var metadata = self.pathMetadata("peer.path_changed", transport.roundTripTime)
        metadata["from"] = "\(old?.name ?? "none")"
        metadata["to"] = "\(transport.path?.name ?? "none")"
        metadata["reason"] = "\(reason.rawValue)"
        self.logger.info("path to the peer changed", metadata: metadata)
        if transport.path == nil { self.wantRestart(.session, after: .zero) }
    }

    func transportLimitChanged(_ transport: PeerTransport) {
        self.carrier?.pathLimitChanged()
    }

    func transport(_ transport: PeerTransport, received bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {
        self.carrier?.receive(bytes, segmentSize: segmentSize, arrival: arrival)
    }

    func transportReceiveComplete(_ transport: PeerTransport) {
        self.carrier?.receiveComplete()
    }

    func transportWritabilityChanged(_ transport: PeerTransport) {
        self.carrier?.pathWritabilityChanged(transport.isWritable)
    }

    func transport(_ transport: PeerTransport, failed failure: PeerTransport.Failure) {
        switch failure {
        case .noPath(let report): self.end(.noPath(report), tellingPeer: true)
        case .pathLost(let report): self.end(.pathLost(report), tellingPeer: true)
        case .bridgeLost(let time):
            let seconds = time.nanoseconds / 1_000_000_000
            self.end(.noBridge("the server has been out of reach for \(seconds) s"), tellingPeer: true)
        case .sockets(let words): self.end(.noSocket(words), tellingPeer: true)
        }
    }

    func transport(_ transport: PeerTransport, directPathFailed report: ICEReport) {
        self.directPathFailed(report)
    }

    private func pathMetadata(_ event: String, _ roundTripTime: TimeAmount?) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["event": "\(event)"]
        if let path = self.transport?.path {
            metadata["path"] = "\(path.name)"
            metadata["remote"] = "\(path.remoteDescription)"
        }
        if let roundTripTime {
            metadata["rtt_ms"] = .stringConvertible(roundTripTime.milliseconds)
        }
        return metadata
    }
}

extension PeerChannelCore: PeerCarrierDelegate {
    func carrierConnected() {
        guard self.ending == nil else {
            return
        }
        self.deadline?.cancel()
        self.deadline = nil
        self.isConnected = true
        let roundTripTime = self.carrier?.roundTripTime ?? self.transport?.roundTripTime
        self.logger.info("peer connected", metadata: self.pathMetadata("peer.connected", roundTripTime))
        self.watchCarrier()
        self.addresses = self.configuration.addressMonitor?.subscribe(on: self.eventLoop) { [weak self] in
            self?.networkChanged($0)
        }
        if self.lacksSession { self.retryMissingSession() }
        self.delegate?.coreConnected()
    }

    private func watchCarrier() {
        self.watch = self.eventLoop.assumeIsolated().scheduleTask(in: Self.watchInterval) { [weak self] in
            guard let self, self.ending == nil else { return }
            self.lookAtCarrier()
            self.watchCarrier()
        }
    }

    func carrierClosed(_ reason: PeerChannelError) {
        if case .closedByPeer = reason {
            self.end(reason, tellingPeer: false)
        } else {
            self.end(reason, tellingPeer: true)
        }
        self.finish()
    }
}
