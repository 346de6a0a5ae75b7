import AppProto
import ICE
import Logging
import NIOCore
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

    private let side: PeerSide
    private var makeCarrier: ((PeerCarrierContext) throws -> Carrier)?
    private var logger: Logger
    private var early: [PeerCandidate] = []
    private var deadline: Scheduled<Void>?
    private var peerFingerprint: CertificateFingerprint?
    private var isConnected = false
    /// Set when the end has begun.
    private var ending: PeerChannelError?
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
    }

    /// What an offer or answer says about us; nil before `open` has succeeded.
    var localDescription: (ice: IceParameters, candidates: [Candidate])? {
        guard let transport = self.transport else {
            return nil
        }
        let credentials = transport.localCredentials
        return (
            IceParameters(ufrag: credentials.ufrag, pwd: credentials.pwd),
            transport.localCandidates.prefix(AppProtoLimits.candidates).map { Candidate($0) }
        )
    }

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
        let role: ICERole = self.side == .client ? .controlling : .controlled
        PeerTransport.open(
            role: role, configuration: self.configuration, eventLoop: self.eventLoop, logger: self.logger
        ).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let bound): self.opened(bound.value, then: opened)
            case .failure(let error):
                self.end(error as? PeerChannelError ?? .noSocket("\(error)"), tellingPeer: false)
            }
        }
    }

    private func opened(_ transport: PeerTransport, then opened: () -> Void) {
        guard self.ending == nil else {
            return transport.close()
        }
        self.transport = transport
        transport.delegate = self
        opened()
        for candidate in self.early {
            self.receive(candidate)
        }
        self.early = []
    }

    /// Looks for reflexive candidates.
    func gather() {
        // With everything on one machine there is no NAT to see through.
        let servers = self.configuration.loopbackOnly ? [] : self.configuration.stunServers
        STUNServerLookup.resolve(servers, on: self.eventLoop).assumeIsolated().whenComplete { result in
            self.transport?.gather(from: (try? result.get()) ?? [])
        }
    }

    /// The other side's words are known: checks begin, and the carrier follows as soon as there is a path.
    ///
    /// - Throws: `.badOffer` when they make no sense.
    func connect(ice: IceParameters, candidates: [Candidate], fingerprint: [UInt8]) throws(PeerChannelError) {
        guard let fingerprint = CertificateFingerprint(bytes: fingerprint) else {
            throw .badOffer("a fingerprint of 32 bytes is missing")
        }
        let credentials: ICECredentials
        do {
            credentials = try ICECredentials(ufrag: ice.ufrag, pwd: ice.pwd)
        } catch {
            throw .badOffer("\(error)")
        }
        self.peerFingerprint = fingerprint
        if self.side == .agent {
            self.startCarrier()
        }
        for candidate in candidates {
            self.add(candidate)
        }
        self.transport?.setRemote(credentials: credentials)
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
        guard self.transport != nil else {
            if self.early.count < Self.maximumEarlyCandidates, self.ending == nil {
                self.early.append(candidate)
            }
            return
        }
        if let candidate = candidate.candidate {
            self.add(candidate)
        }
        if candidate.endOfCandidates {
            self.transport?.remoteCandidatesEnded()
        }
    }

    func receive(_ close: ClosePeer) {
        self.end(.closedByPeer(reason: close.reason), tellingPeer: false)
    }

    private func add(_ candidate: Candidate) {
        if let candidate = ICECandidate(candidate) {
            self.transport?.addRemote(candidate: candidate)
        }
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
        if let report = reason.report ?? (isTrouble ? self.unfinishedReport : nil) {
            self.logger.log(
                level: isKnown ? .debug : .info, "paths to the peer that were tried",
                metadata: ["event": "peer.paths", "report": "\(report)"])
        }
    }
}

@available(*, unavailable)
extension PeerChannelCore: Sendable {}

extension PeerChannelCore: PeerTransportDelegate {
    func transport(_ transport: PeerTransport, gathered candidate: ICECandidate) {
        self.signaling.sendCandidate(PeerCandidate(peerID: self.peerID, candidate: Candidate(candidate)))
    }

    func transportGatheringEnded(_ transport: PeerTransport) {
        self.signaling.sendCandidate(PeerCandidate(endOfCandidatesOf: self.peerID))
    }

    func transport(_ transport: PeerTransport, pathChanged path: PeerPath, roundTripTime: TimeAmount?) {
        if self.side == .client {
            self.startCarrier()
        }
        self.carrier?.pathChanged()
        if self.isConnected {
            self.logger.info(
                "path to the peer changed", metadata: self.pathMetadata("peer.path_changed", roundTripTime))
        }
    }

    func transportLimitChanged(_ transport: PeerTransport) {
        self.carrier?.pathChanged()
    }

    func transport(_ transport: PeerTransport, received bytes: ByteBuffer, segmentSize: Int?) {
        self.carrier?.receive(bytes, segmentSize: segmentSize)
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
        case .sockets(let words): self.end(.noSocket(words), tellingPeer: true)
        }
    }

    private func pathMetadata(_ event: String, _ roundTripTime: TimeAmount?) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["event": "\(event)"]
        if let path = self.transport?.path {
            metadata["path"] = "\(path.name)"
            metadata["remote"] = "\(path.remoteDescription)"
        }
        if let roundTripTime {
            metadata["rtt_ms"] = "\(roundTripTime.milliseconds)"
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
        self.delegate?.coreConnected()
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
