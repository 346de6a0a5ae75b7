import LibC
import QUIC
import AppProto
import ICE
import Logging
import NIOCore
import STUN
import UDP

/// Hears what a transport finds and receives, on its event loop. Not called from inside a call to the transport, but
/// where it says so.
protocol PeerTransportDelegate: AnyObject {
    /// A candidate beyond those that were there at the start of the session of this generation.
    func transport(_ transport: PeerTransport, gathered candidate: ICECandidate, generation: UInt32)
    /// No more candidates will come.
    func transport(_ transport: PeerTransport, gatheringEndedWith mapping: MappingBehavior, generation: UInt32)
    /// Datagrams go another way from now on, or none; at first, there is a way at all.
    func transport(_ transport: PeerTransport, pathChangedFrom old: PeerPath?, reason: PathChangeReason)
    /// `maximumDatagramSize` has changed, with the path as it was.
    func transportLimitChanged(_ transport: PeerTransport)
    /// A datagram of the protocol above; with `segmentSize` several of that size, the last perhaps shorter. Equal
    /// `arrival`s came the same way.
    func transport(_ transport: PeerTransport, received bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32)
    /// The end of a batch of datagrams.
    func transportReceiveComplete(_ transport: PeerTransport)
    /// `isWritable` has changed. May be called from inside `send`.
    func transportWritabilityChanged(_ transport: PeerTransport)
    /// The search for a direct path has ended without one, or the one that was found is lost: a new session may do better.
    func transport(_ transport: PeerTransport, directPathFailed report: ICEReport)
    /// There is no path, or none any more. The last call.
    func transport(_ transport: PeerTransport, failed failure: PeerTransport.Failure)
}

/// The way for datagrams to the peer, and the choice between ways: the direct path that a `DirectSession` has confirmed, or
/// else the bridge, the datagrams' way through the server. Belongs to its event loop.
///
/// The protocol above sends and receives without knowing about paths.
final class PeerTransport: DatagramPath {
    enum Failure: Error {
        /// No path was found.
        case noPath(ICEReport)
        /// There was one, and it died.
        case pathLost(ICEReport)
        /// There is nothing but the bridge, and it has been out of reach for so long.
        case bridgeLost(TimeAmount)
        /// All sockets are gone.
        case sockets(String)
    }

    enum BridgeState: Hashable {
        /// Not to be had: one of the two peers or the server does not want it.
        case unavailable
        /// There is no control connection at the moment.
        case down
        case up
    }

    /// Where datagrams go.
    private enum Route {
        case bridge
        case direct(DirectSession, UDPSocket, remote: SocketAddress, PeerPath)

        init(_ session: DirectSession, _ path: DirectSession.Path) {
            self = .direct(session, path.socket, remote: path.remote, path.description)
        }

        var description: PeerPath {
            switch self {
            case .bridge: .bridge
            case .direct(_, _, _, let description): description
            }
        }
    }

    /// What datagrams come by, for `arrival`.
    private struct Arrival {
        let socket: UDPSocket
        let source: SocketAddress
        let number: UInt32
    }

    /// Bound of what waits for the first path, in bytes: the first flight of the side that hears the other before its
    /// own checks are answered.
    private static let maximumEarlyBytes = 64 << 10
    /// More is never sent, whatever the path carries: IPv6 over Ethernet (1500 − 40 − 8). So a channel behaves the same on
    /// every network.
    static let largestDatagram = 1452
    /// Datagrams sent at once go over the bridge in pieces, so that other channels get their turns in between.
    private static let datagramsPerBridgeMessage = 12
    /// Different arrivals that are told apart.
    private static let maximumArrivals = 16
    private static let bridgeArrival: UInt32 = 0
    /// Longer than it takes to notice that the newest session's path is dead.
    private static let retirementTime = TimeAmount.seconds(15)
    /// Datagrams on the bridge may be so much later than those that were sent after them straight.
    private static let bridgeLag = TimeAmount.milliseconds(500)
    /// Between two times of following the client to the bridge: nobody has authenticated the datagrams that ask for it. The
    /// session's monitor notices the same a little later.
    private static let followingInterval = TimeAmount.seconds(10)

    let eventLoop: any EventLoop
    let role: ICERole
    let configuration: PeerChannelConfiguration
    let logger: Logger
    weak var delegate: (any PeerTransportDelegate)?
    /// Sends by way of the server.
    private let sendOverBridge: (ByteBuffer, Int?) -> Void
    /// Whether the peer answers padded checks; known with its offer or answer.
    var peerAnswersPadding = false

    /// The newest session; nil without any.
    private(set) var current: DirectSession?
    /// The one before, while it has a path that works and the newest has none.
    private(set) var previous: DirectSession?
    private(set) var bridge = BridgeState.unavailable
    private var route: Route?
    private var hasHadPath = false
    /// What the protocol above was told last that the path carries, in bytes of UDP payload.
    private var announcedLimit = PeerTransport.largestDatagram
    private var early: [(bytes: ByteBuffer, segmentSize: Int?)] = []
    private var earlyBytes = 0
    private var arrivals: [Arrival] = []
    private var nextArrival: UInt32 = 1
    /// When the last datagram came straight from the peer.
    private var lastDirectArrival: NIODeadline?
    /// Set on the agent's side while the client has left the direct path that we still believe in.
    private var peerHasLeft = false
    /// When the client may be followed next.
    private var nextFollowing = NIODeadline.uptimeNanoseconds(0)
    private var retirement: Scheduled<Void>?
    private var lossTimer: Scheduled<Void>?
    private var lastReport: ICEReport?
    /// For offers when there is no session.
    private let spareCredentials = ICECredentials.random()
    private var isClosed = false

    init(
        role: ICERole, configuration: PeerChannelConfiguration, eventLoop: any EventLoop, logger: Logger,
        sendOverBridge: @escaping (ByteBuffer, Int?) -> Void
    ) {
        self.role = role
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.sendOverBridge = sendOverBridge
    }

    // MARK: What it knows

    /// How the peer is reached; nil when it is not.
    var path: PeerPath? { self.route?.description }
    /// What the peer must know of us.
    var localCredentials: ICECredentials { self.current?.localCredentials ?? self.spareCredentials }
    /// Those known so far.
    var localCandidates: [ICECandidate] { self.current?.localCandidates ?? [] }
    /// What was tried so far, of the newest session; nil when no direct path was looked for.
    var report: ICEReport? { self.current?.report ?? self.lastReport }
    /// Of the direct path in use, as its last check measured it.
    var roundTripTime: TimeAmount? {
        if case .direct(let session, _, _, _) = self.route { session.best?.roundTripTime } else { nil }
    }

    /// What the path is known to carry, in bytes of UDP payload.
    var maximumDatagramSize: Int {
        switch self.route {
        case .direct(let session, _, _, _): session.best?.monitor.limit ?? Self.largestDatagram
        // There are no packets to fit into.
        case .bridge, nil: Self.largestDatagram
        }
    }

    var preferredDatagramSize: Int {
        // Beside the message around them, what every control connection has room for once its path has been measured.
        if case .direct = self.route { self.maximumDatagramSize } else { QUICConfiguration.leastUDPPayload }
    }

    /// False while the kernel takes nothing more.
    var isWritable: Bool {
        if case .direct(_, let socket, _, _) = self.route { socket.isWritable } else { true }
    }

    /// Whether a direct path is in use.
    var usesDirectPath: Bool { if case .direct = self.route { true } else { false } }

    /// Whether the direct path in use leaves from an address of which `hasLost` is true.
    func hasLost(_ hasLost: (SocketAddress) -> Bool) -> Bool {
        guard case .direct(let session, _, _, _) = self.route, let pair = session.best?.pair else { return false }
        // Seen from the peer, `local` may be the outside of a NAT: what counts is the address inside.
        let inside = pair.local.kind == .host ? pair.local.address : pair.local.relatedAddress
        return inside.map(hasLost) ?? false
    }

    // MARK: Sessions

    /// Takes over a session, which becomes the one that new candidates are for. The one before stays as long as it is the only
    /// one with a path.
    func adopt(_ session: DirectSession) {
        guard !self.isClosed else { return session.close() }
        session.delegate = self
        if let current = self.current {
            if current.usable != nil || self.previous?.usable == nil {
                self.previous?.close()
                self.previous = current
            } else {
                current.close()
            }
        }
        self.current = session
        self.choosePath(.found)
    }

    /// The session of a generation, if it lives.
    func session(_ generation: UInt32) -> DirectSession? {
        self.sessions.first { $0.generation == generation }
    }

    /// Those that live, the newest first.
    private var sessions: [DirectSession] { [self.current, self.previous].compactMap { $0 } }

    // MARK: The bridge

    func setBridge(_ state: BridgeState) {
        guard state != self.bridge, !self.isClosed else { return }
        self.bridge = state
        self.choosePath(state == .up ? .bridgeUp : .bridgeDown)
    }

    /// Datagrams came by way of the server.
    func receiveFromBridge(_ bytes: ByteBuffer, segmentSize: Int?) {
        // No connectivity check has any business here.
        guard !self.isClosed, self.bridge != .unavailable, DirectSession.isSTUN(bytes, at: 0) == false else { return }
        self.followPeerToBridge()
        self.delegate?.transport(self, received: bytes, segmentSize: segmentSize, arrival: Self.bridgeArrival)
        self.delegate?.transportReceiveComplete(self)
    }

    /// A client that came by the direct path and comes by the bridge now has found that path dead. The agent need not find
    /// out by itself, in which time everything that it sends would be lost.
    private func followPeerToBridge() {
        guard self.role == .controlled, !self.peerHasLeft, case .direct(let session, _, _, _) = self.route,
            let last = self.lastDirectArrival, case let now = self.eventLoop.now, now - last > Self.bridgeLag,
            now >= self.nextFollowing
        else { return }
        self.peerHasLeft = true
        self.nextFollowing = now + Self.followingInterval
        session.suspect()
        self.choosePath(.peerLeft)
    }

    private func bridge(_ bytes: ByteBuffer, segmentSize: Int?) {
        guard let segmentSize, bytes.readableBytes > segmentSize else {
            return self.sendOverBridge(bytes, nil)
        }
        var rest = bytes
        while let piece = rest.readSlice(
            length: min(rest.readableBytes, segmentSize * Self.datagramsPerBridgeMessage)), piece.readableBytes > 0
        {
            self.sendOverBridge(piece, piece.readableBytes > segmentSize ? segmentSize : nil)
        }
    }

    // MARK: Datagrams

    /// Sends by the current path. Before there is one, the first few datagrams wait for it and the rest are dropped.
    @discardableResult
    func send(_ bytes: ByteBuffer, segmentSize: Int?) -> Bool {
        switch self.route {
        case .bridge:
            self.bridge(bytes, segmentSize: segmentSize)
            return true
        case .direct(let session, let socket, let remote, _):
            // Whether the path still works is for the session to find out.
            switch session.send(bytes, segmentSize: segmentSize, by: socket, to: remote) {
            case .sent: return true
            case .dropped: return false
            case .refused(let error):
                if error == EMSGSIZE { session.updateCeiling() }
                return false
            }
        case nil:
            guard !self.isClosed, !self.hasHadPath,
                self.earlyBytes + bytes.readableBytes <= Self.maximumEarlyBytes
            else { return false }
            self.early.append((bytes, segmentSize))
            self.earlyBytes += bytes.readableBytes
            return true
        }
    }

    /// The protocol above misses answers.
    func suspect() {
        if case .direct(let session, _, _, _) = self.route { session.suspect() }
    }

    /// Closes the sockets. The delegate hears nothing more.
    func close() {
        guard !self.isClosed else { return }
        self.lastReport = self.report
        self.isClosed = true
        self.delegate = nil
        self.retirement?.cancel()
        self.retirement = nil
        self.lossTimer?.cancel()
        self.lossTimer = nil
        self.route = nil
        self.early = []
        self.arrivals = []
        self.current?.close()
        self.previous?.close()
        self.current = nil
        self.previous = nil
    }
}

@available(*, unavailable)
extension PeerTransport: Sendable {}

// MARK: - The choice

extension PeerTransport {
    /// The best way there is now: a direct path that is known to work; else the bridge; else what ICE has found, which is all
    /// there is before the first confirmation when nothing is bridged.
    private var bestRoute: Route? {
        if self.peerHasLeft, self.bridge == .up { return .bridge }
        for session in self.sessions {
            if let path = session.usable { return Route(session, path) }
        }
        if self.bridge == .up { return .bridge }
        for session in self.sessions {
            if let path = session.tentative, !path.wasLost { return Route(session, path) }
        }
        return nil
    }

    private func choosePath(_ reason: PathChangeReason) {
        guard !self.isClosed else { return }
        let old = self.path
        self.route = self.bestRoute
        self.retirePrevious()
        self.watchForLoss()
        guard self.path != old else { return self.announceLimit() }
        self.hasHadPath = self.hasHadPath || self.route != nil
        self.announcedLimit = self.maximumDatagramSize
        self.delegate?.transportWritabilityChanged(self)
        self.sendEarly()
        self.notify { $0.transport(self, pathChangedFrom: old, reason: reason) }
    }

    /// Tells of a limit that is not the one told last. Sessions measure a path at any time, also one that was in use before it
    /// was confirmed, so that the limit is compared with what was told and not with what it was before a call.
    private func announceLimit() {
        guard self.maximumDatagramSize != self.announcedLimit else { return }
        self.announcedLimit = self.maximumDatagramSize
        self.notify { $0.transportLimitChanged(self) }
    }

    /// Once the newest session has a path, the one before is kept for a while: the other side may not have followed yet, or not
    /// at all when the answer to a restart was lost.
    private func retirePrevious() {
        guard self.current?.usable != nil, self.previous != nil, self.retirement == nil else { return }
        self.retirement = self.eventLoop.assumeIsolated().scheduleTask(in: Self.retirementTime) { [weak self] in
            guard let self else { return }
            self.retirement = nil
            guard self.current?.usable != nil else { return }
            self.previous?.close()
            self.previous = nil
        }
    }

    private func sendEarly() {
        guard self.route != nil else { return }
        let early = self.early
        self.early = []
        self.earlyBytes = 0
        for transmit in early {
            self.send(transmit.bytes, segmentSize: transmit.segmentSize)
        }
    }

    /// A transport that has had a path may be without one for a while: a restart or the control connection may bring another.
    private func watchForLoss() {
        guard self.hasHadPath, self.route == nil else {
            self.lossTimer?.cancel()
            self.lossTimer = nil
            return
        }
        guard self.lossTimer == nil else { return }
        let timeout = self.configuration.pathLossTimeout
        self.lossTimer = self.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in
            guard let self else { return }
            self.fail(self.report.map(Failure.pathLost) ?? .bridgeLost(timeout))
        }
    }

    private func fail(_ failure: Failure) {
        self.notify { delegate in
            self.close()
            delegate.transport(self, failed: failure)
        }
    }

    /// In a later turn of the loop, so that nobody is called while in the middle of something.
    private func notify(_ body: @escaping (any PeerTransportDelegate) -> Void) {
        self.eventLoop.assumeIsolated().execute {
            guard let delegate = self.delegate else { return }
            body(delegate)
        }
    }
}

// MARK: - What sessions tell

extension PeerTransport: DirectSessionDelegate {
    func session(_ session: DirectSession, gathered candidate: ICECandidate) {
        self.notify { $0.transport(self, gathered: candidate, generation: session.generation) }
    }

    func sessionGatheringEnded(_ session: DirectSession) {
        self.notify {
            $0.transport(self, gatheringEndedWith: session.mapping, generation: session.generation)
        }
    }

    func session(_ session: DirectSession, pathsChanged reason: PathChangeReason) {
        self.choosePath(reason)
        if session.usable == nil, reason != .found, !session.isSearching {
            let report = session.report
            self.notify { $0.transport(self, directPathFailed: report) }
        }
    }

    func sessionLimitChanged(_ session: DirectSession) {
        self.announceLimit()
    }

    func session(
        _ session: DirectSession, received bytes: ByteBuffer, segmentSize: Int?, on socket: UDPSocket,
        from source: SocketAddress
    ) {
        self.lastDirectArrival = self.eventLoop.now
        if self.peerHasLeft {
            self.peerHasLeft = false
            self.choosePath(.confirmed)
        }
        self.delegate?.transport(
            self, received: bytes, segmentSize: segmentSize, arrival: self.arrival(on: socket, from: source))
    }

    func sessionReceiveComplete(_ session: DirectSession) {
        self.delegate?.transportReceiveComplete(self)
    }

    func session(_ session: DirectSession, writabilityChangedOf socket: UDPSocket) {
        if case .direct(_, let inUse, _, _) = self.route, inUse === socket {
            self.delegate?.transportWritabilityChanged(self)
        }
    }

    func session(_ session: DirectSession, failed failure: DirectSession.Failure) {
        // It may have been in the middle of a batch, of whose end its sockets tell no more: the protocol above would wait for
        // that with all it has to say.
        self.delegate?.transportReceiveComplete(self)
        if session === self.previous {
            self.previous = nil
            return self.choosePath(.failed)
        }
        guard session === self.current else { return }
        self.lastReport = session.report
        self.current = nil
        if let previous = self.previous, previous.usable != nil {
            self.current = previous
            self.previous = nil
        }
        self.choosePath(.failed)
        let report = session.report
        guard self.route == nil, !self.hasHadPath, self.bridge != .down else {
            return self.notify { $0.transport(self, directPathFailed: report) }
        }
        switch failure {
        case .noPair(let report): self.fail(.noPath(report))
        case .sockets(let words): self.fail(.sockets(words))
        }
    }

    /// The number of the way by which a datagram came. Few are in use at a time.
    private func arrival(on socket: UDPSocket, from source: SocketAddress) -> UInt32 {
        if let known = self.arrivals.first(where: { $0.socket === socket && $0.source == source }) {
            return known.number
        }
        if self.arrivals.count >= Self.maximumArrivals { self.arrivals.removeFirst() }
        let arrival = Arrival(socket: socket, source: source, number: self.nextArrival)
        self.nextArrival &+= 1
        self.arrivals.append(arrival)
        return arrival.number
    }
}
