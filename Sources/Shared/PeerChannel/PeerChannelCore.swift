import AppProto
import ICE
import Logging
import NIOCore
import QUIC
import TLS

/// Hears what a core has to say, on its event loop.
protocol PeerChannelCoreDelegate: AnyObject {
    func coreConnected()
    func coreReceived(_ request: TunnelRequest)
    func coreClosed(_ reason: PeerChannelError)
}

/// What both ends of a peer channel have in common: a transport, a tunnel on top of it, trickling, and one end for all.
final class PeerChannelCore {
    /// How long the tunnel may take once there is a path.
    private static let handshakeTimeout = TimeAmount.seconds(10)
    /// Most candidates kept that arrive before the sockets are open.
    private static let maximumEarlyCandidates = 64

    let peerID: PeerID
    let eventLoop: any EventLoop
    let configuration: PeerChannelConfiguration
    let signaling: any PeerSignaling
    weak var delegate: (any PeerChannelCoreDelegate)?
    /// Causes of failure that need not be said loudly again.
    var knownCauses: Set<String> = []
    private(set) var tunnel: QUICTunnel?
    private(set) var transport: PeerTransport?

    private let side: QUICTunnel.Side
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
        peerID: PeerID, side: QUICTunnel.Side, configuration: PeerChannelConfiguration,
        signaling: any PeerSignaling, eventLoop: any EventLoop, logger: Logger
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

    /// Opens the sockets, then calls `opened`, unless the channel has ended by then.
    func open(_ opened: @escaping () -> Void) {
        guard self.ending == nil else {
            return
        }
        self.running = self
        self.deadline = self.eventLoop.assumeIsolated().scheduleTask(
            in: self.configuration.pathTimeout + Self.handshakeTimeout
        ) { [weak self] in
            self?.end(.tunnel(.handshakeTimedOut), tellingPeer: true)
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

    /// The other side's words are known: checks begin, and the tunnel follows as soon as there is a path.
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
            self.startTunnel()
        }
        for candidate in candidates {
            self.add(candidate)
        }
        self.transport?.setRemote(credentials: credentials)
    }

    private func startTunnel() {
        guard self.tunnel == nil, self.ending == nil, let fingerprint = self.peerFingerprint else {
            return
        }
        do {
            let tunnel = try QUICTunnel(
                side: self.side, peer: fingerprint, configuration: self.configuration, eventLoop: self.eventLoop
            ) { [weak self] transmit in
                self?.transport?.send(transmit.payload, segmentSize: transmit.segmentSize)
            }
            tunnel.delegate = self
            self.tunnel = tunnel
        } catch {
            self.end(.badOffer("the tunnel cannot be set up: \(error)"), tellingPeer: true)
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

    /// Ends everything, once. The delegate hears of it when the tunnel has said goodbye.
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
        if let tunnel = self.tunnel, !tunnel.isClosed {
            tunnel.close(.shutdown, reason: reason.wordsForPeer)
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
            self.startTunnel()
        }
        if self.isConnected {
            self.logger.info(
                "path to the peer changed", metadata: self.pathMetadata("peer.path_changed", roundTripTime))
        }
    }

    func transport(_ transport: PeerTransport, received bytes: ByteBuffer, segmentSize: Int?) {
        self.tunnel?.receive(bytes, segmentSize: segmentSize)
    }

    func transportReceiveComplete(_ transport: PeerTransport) {
        self.tunnel?.receiveComplete()
    }

    func transportWritabilityChanged(_ transport: PeerTransport) {
        self.tunnel?.isPathWritable = transport.isWritable
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
            let tenths = (roundTripTime.nanoseconds + 50_000) / 100_000
            metadata["rtt_ms"] = "\(tenths / 10).\(tenths % 10)"
        }
        return metadata
    }
}

extension PeerChannelCore: QUICTunnelDelegate {
    func tunnelConnected(_ tunnel: QUICTunnel) {
        guard self.ending == nil else {
            return
        }
        self.deadline?.cancel()
        self.deadline = nil
        self.isConnected = true
        self.logger.info("peer connected", metadata: self.pathMetadata("peer.connected", tunnel.roundTripTime))
        self.delegate?.coreConnected()
    }

    func tunnel(_ tunnel: QUICTunnel, requested request: TunnelRequest) {
        guard self.ending == nil, let delegate = self.delegate else {
            return request.refuse(.failed, reason: "the agent is closing this channel")
        }
        delegate.coreReceived(request)
    }

    func tunnel(_ tunnel: QUICTunnel, closed reason: QUICCloseReason) {
        switch reason {
        case .peer(_, let words): self.end(.closedByPeer(reason: words), tellingPeer: false)
        default: self.end(.tunnel(reason), tellingPeer: true)
        }
        self.finish()
    }
}
