import AppProto
import Crypto
import ICE
import Logging
import NIOCore
import NameResolution
import STUN
import UDP

/// Hears what a session finds and receives, on its event loop; may be called from inside a call to the session.
protocol DirectSessionDelegate: AnyObject {
    /// A candidate beyond those that were there at the start.
    func session(_ session: DirectSession, gathered candidate: ICECandidate)
    /// No more candidates will come.
    func sessionGatheringEnded(_ session: DirectSession)
    /// `usable` or `tentative` has changed.
    func session(_ session: DirectSession, pathsChanged reason: PathChangeReason)
    /// A path has been found to carry larger datagrams, or smaller ones only.
    func sessionLimitChanged(_ session: DirectSession)
    /// A datagram of the protocol above from a peer that has proved itself; with `segmentSize` several.
    func session(
        _ session: DirectSession, received bytes: ByteBuffer, segmentSize: Int?, on socket: UDPSocket,
        from source: SocketAddress)
    /// The end of a batch of datagrams.
    func sessionReceiveComplete(_ session: DirectSession)
    /// A socket takes datagrams again, or takes none for now. May be called from inside `send`.
    func session(_ session: DirectSession, writabilityChangedOf socket: UDPSocket)
    /// There is no direct path, or none any more. The last call.
    func session(_ session: DirectSession, failed failure: DirectSession.Failure)
}

/// The search for a direct path, and the watch over what it has found: sockets, gathering, one ICE session, and monitors of
/// the pairs that are in use or about to be. Belongs to its event loop.
///
/// An ICE restart is a new one of these, with sockets of its own, beside the old one.
final class DirectSession {
    enum Failure: Error {
        /// ICE has given up.
        case noPair(ICEReport)
        /// All sockets are gone.
        case sockets(String)
    }

    /// A pair of candidates, and what is known of it as a path.
    struct Path {
        fileprivate(set) var pair: ICECandidatePair
        let socket: UDPSocket
        fileprivate(set) var monitor: PathMonitor
        fileprivate var segmentation: SegmentationProbe
        /// Whether it has been in use and was lost.
        fileprivate(set) var wasLost = false

        var remote: SocketAddress { self.pair.remoteAddress }
        var roundTripTime: TimeAmount? { self.monitor.roundTripTime ?? self.pair.roundTripTime }
        var description: PeerPath { .direct(local: self.pair.local.address, remote: self.pair.remoteAddress) }

        fileprivate mutating func answered(
            _ id: TransactionID, hasPadding: Bool, roundTripTime: TimeAmount, at now: NIODeadline
        ) {
            self.segmentation.answered(id, at: now)
            self.monitor.answered(id, hasPadding: hasPadding, roundTripTime: roundTripTime, at: now)
        }
    }

    /// Between two looks at what the kernel knows of the way to the peer.
    private static let ceilingLookupInterval = TimeAmount.milliseconds(50)

    /// Counts the ICE sessions of a channel, the first is 0.
    let generation: UInt32
    /// What the peer must know of us.
    let localCredentials = ICECredentials.random()
    private(set) var sockets: [UDPSocket]
    weak var delegate: (any DirectSessionDelegate)?
    /// Confirmed by full-size datagrams in both directions.
    private(set) var usable: Path?
    /// What ICE has selected, while it is not confirmed.
    private(set) var tentative: Path?
    /// Datagrams that came from nobody we know.
    private(set) var strangersDropped = 0
    /// How our NAT maps, as far as that is known when gathering has ended.
    private(set) var mapping = MappingBehavior.unknown
    private var hasGathered = false

    let eventLoop: any EventLoop
    let logger: Logger
    /// How many sockets a spread may open here.
    let localSpread: Int
    var spread: SpreadRun?
    /// What the peer says of its NAT, and how many sockets it agrees to.
    private var peer: (mapping: MappingBehavior, spread: Int)?
    private let peerAnswersPadding: () -> Bool
    private let hosts: [ICECandidate]
    private var agent: ICEAgent
    private var gathering: STUNGathering
    private var serverLookups: [NameLookup] = []
    private var timer: Scheduled<Void>?
    private var timerDeadline: NIODeadline?
    private var nextCeilingLookup = NIODeadline.uptimeNanoseconds(0)
    private var isAdvancing = false
    private var isAdvanceScheduled = false
    private let checkBudget = CheckBudget.ofSession()
    private var isClosed = false

    /// - Parameter peerAnswersPadding: asked when the peer has answered.
    init(
        generation: UInt32, sockets: [UDPSocket], hosts: [ICECandidate], role: ICERole,
        configuration: PeerChannelConfiguration, eventLoop: any EventLoop, logger: Logger,
        peerAnswersPadding: @escaping () -> Bool
    ) {
        self.generation = generation
        self.sockets = sockets
        self.eventLoop = eventLoop
        self.logger = logger
        self.peerAnswersPadding = peerAnswersPadding
        self.localSpread = configuration.loopbackOnly ? 0 : configuration.spread
        self.hosts = hosts
        var ice = configuration.ice
        ice.timeLimit = configuration.pathTimeout
        let loopbackOnly = configuration.loopbackOnly
        let permitsCandidate = configuration.permitsCandidate
        self.agent = ICEAgent(
            role: role, local: self.localCredentials, hmacSHA1: HMAC.sha1, configuration: ice,
            permitsRemote: { address in
                let isLoopback = TransportAddress(address)?.isLoopback ?? true
                return loopbackOnly ? isLoopback : !isLoopback && permitsCandidate(address)
            })
        self.gathering = STUNGathering(hosts: hosts)
        for host in hosts {
            self.agent.addLocalCandidate(host, at: eventLoop.now)
        }
        for socket in sockets {
            socket.delegate = self
        }
    }

    /// Whether a pair that works is looked for.
    var isSearching: Bool { self.agent.isChecking }
    /// The path to be used, confirmed or not.
    var best: Path? { self.usable ?? self.tentative }
    /// Those known so far.
    var localCandidates: [ICECandidate] { self.agent.localCandidates }
    /// What was tried so far.
    var report: ICEReport { self.agent.report }

    // MARK: Looking for a path

    /// Asks STUN servers for reflexive candidates: each as soon as an address of it is known. `servers` are of this event
    /// loop. Call once.
    func gather(from servers: [NameLookup]) {
        guard !self.isClosed else { return servers.forEach { $0.cancel() } }
        self.serverLookups = servers
        let answers = servers.flatMap { [$0.v4Addresses, $0.v6Addresses] }
        self.gathering.start(unresolved: answers.count, at: self.eventLoop.now)
        for answer in answers {
            answer.assumeIsolated().whenComplete { [weak self] result in
                self?.resolved((try? result.get()) ?? [])
            }
        }
        self.advance()
    }

    private func endLookups() {
        for lookup in self.serverLookups { lookup.cancel() }
        self.serverLookups = []
    }

    private func resolved(_ servers: [SocketAddress]) {
        guard !self.isClosed else { return }
        self.gathering.resolved(servers, at: self.eventLoop.now)
        self.advance()
    }

    /// The peer's credentials: checks begin.
    func setRemote(credentials: ICECredentials) {
        guard !self.isClosed else { return }
        self.agent.setRemote(credentials: credentials, at: self.eventLoop.now)
        self.advance()
    }

    /// One more address of the peer.
    func addRemote(candidate: ICECandidate) {
        guard !self.isClosed else { return }
        self.agent.addRemoteCandidate(candidate, at: self.eventLoop.now)
        self.advance()
    }

    /// The peer has no more addresses.
    func remoteCandidatesEnded() {
        guard !self.isClosed else { return }
        self.agent.remoteCandidatesEnded(at: self.eventLoop.now)
        self.advance()
    }

    // MARK: Spreads

    /// What the peer says of its NAT, along with the end of its candidates.
    func peerHasEnded(with mapping: MappingBehavior, spread: Int) {
        self.peer = (mapping, spread)
        self.considerSpread()
    }

    /// Once both sides know their NATs: whether guessing ports may help where ordinary checks don't.
    private func considerSpread() {
        guard self.spread == nil, let peer = self.peer, self.hasGathered, !self.isClosed else { return }
        let plan = SpreadPlan(
            local: self.mapping, peer: peer.mapping, localSpread: self.localSpread, peerSpread: peer.spread)
        if case .none = plan { return }
        let run = SpreadRun(plan, session: self)
        self.spread = run
        run.start()
    }

    /// Where the peer's NAT is seen, or where the peer itself is; IPv4 only, as IPv6 has no such NATs.
    var remotesForSpread: [ICECandidate] {
        let remotes = self.agent.remoteCandidates.filter { $0.address.protocol == .inet }
        let outside = remotes.filter { $0.kind == .serverReflexive }
        return outside.isEmpty ? remotes : outside
    }

    func strayCheck() -> ByteBuffer? { self.agent.strayCheck() }

    func holdOn(until deadline: NIODeadline) {
        self.agent.holdOn(until: deadline)
        self.advance()
    }

    /// Whether a datagram is a connectivity check that the peer has signed.
    func isCheckOfPeer(_ datagram: ByteBuffer) -> Bool { self.agent.isCheckOfPeer(datagram) }

    /// A check of the peer has come in on a socket of the spread: it becomes one of the session's. Returns false when the
    /// session has no use for it.
    func adopt(_ socket: UDPSocket) -> Bool {
        guard !self.isClosed, self.base(of: socket) == nil,
            var host = self.hosts.first(where: { $0.address.protocol == socket.localAddress.protocol })
        else { return false }
        self.sockets.append(socket)
        socket.delegate = self
        host.address.port = socket.localAddress.port ?? 0
        host.base = LocalBaseID(self.sockets.count - 1)
        self.agent.addLocalCandidate(host, at: self.eventLoop.now)
        return true
    }

    // MARK: Watching the path

    private func trafficSeen() {
        if self.usable != nil { self.usable?.monitor.trafficSeen() } else { self.tentative?.monitor.trafficSeen() }
    }

    /// Somebody has reason to think that the path is dead.
    func suspect() {
        guard !self.isClosed, self.usable != nil else { return }
        self.usable?.monitor.suspect(at: self.eventLoop.now)
        self.usable?.segmentation.suspect()
        self.advance()
    }

    // MARK: Sending

    /// Sends datagrams of the protocol above by the best path: as one send of several segments where these are known to
    /// arrive, or else one by one.
    func send(_ bytes: ByteBuffer, segmentSize: Int?, by socket: UDPSocket, to remote: SocketAddress)
        -> UDPSocket.SendResult
    {
        self.trafficSeen()
        guard let segmentSize, bytes.readableBytes > segmentSize, !self.allows(bytes.readableBytes / segmentSize + 1)
        else { return socket.send(bytes, segmentSize: segmentSize, to: remote) }
        var result = UDPSocket.SendResult.sent
        for datagram in DatagramSegments(bytes, size: segmentSize) {
            let one = socket.send(datagram, segmentSize: nil, to: remote)
            if one != .sent { result = one }
        }
        return result
    }

    private func allows(_ segments: Int) -> Bool {
        let now = self.eventLoop.now
        let isAllowed: Bool
        let isDue: Bool
        if self.usable != nil {
            isAllowed = self.usable?.segmentation.allows(segments: segments, at: now) ?? false
            isDue = self.usable?.segmentation.isDue ?? false
        } else {
            isAllowed = self.tentative?.segmentation.allows(segments: segments, at: now) ?? false
            isDue = self.tentative?.segmentation.isDue ?? false
        }
        if isDue { self.scheduleAdvance() }
        return isAllowed
    }

    /// The caller is in the middle of sending.
    private func scheduleAdvance() {
        guard !self.isAdvanceScheduled else { return }
        self.isAdvanceScheduled = true
        self.eventLoop.assumeIsolated().execute { [weak self] in
            self?.isAdvanceScheduled = false
            self?.advance()
        }
    }

    /// Looks up what the kernel knows of the way to the peer, unless it has done so a moment ago: whoever sends a burst of
    /// datagrams that are too large asks for each of them.
    func updateCeiling() {
        let now = self.eventLoop.now
        guard !self.isClosed, let path = self.best, now >= self.nextCeilingLookup else { return }
        self.nextCeilingLookup = now + Self.ceilingLookupInterval
        guard let ceiling = Self.ceiling(of: path.socket, to: path.remote) else { return }
        if self.usable != nil {
            self.usable?.monitor.setCeiling(ceiling, at: now)
        } else {
            self.tentative?.monitor.setCeiling(ceiling, at: now)
        }
        self.advance()
    }

    /// The largest datagram that leaves this machine whole, and that any channel uses.
    private static func ceiling(of socket: UDPSocket, to remote: SocketAddress) -> Int? {
        RouteMTU.bytes(to: remote, from: socket.localAddress).map {
            min($0 - RouteMTU.headerBytes(to: remote), PeerTransport.largestDatagram)
        }
    }

    /// Closes the sockets. The delegate hears nothing more.
    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.delegate = nil
        self.endLookups()
        self.timer?.cancel()
        self.timer = nil
        self.usable = nil
        self.tentative = nil
        self.spread?.end()
        self.spread = nil
        for socket in self.sockets {
            socket.close()
        }
    }
}

@available(*, unavailable)
extension DirectSession: Sendable {}

// MARK: - What arrives

extension DirectSession: UDPSocketDelegate {
    func socket(
        _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
        at local: SocketAddress?
    ) {
        guard let segmentSize else {
            return self.receive(bytes, segmentSize: nil, on: socket, from: source)
        }
        // The kernel coalesces whatever comes from one sender: messages and packets may follow each other.
        var rest = bytes
        while let isSTUN = Self.isSTUN(rest, at: 0) {
            var length = min(segmentSize, rest.readableBytes)
            while !isSTUN, Self.isSTUN(rest, at: length) == false {
                length = min(length + segmentSize, rest.readableBytes)
            }
            guard let run = rest.readSlice(length: length) else { return }
            self.receive(
                run, segmentSize: isSTUN || length <= segmentSize ? nil : segmentSize, on: socket, from: source)
        }
    }

    /// Whether the datagram at an offset is STUN (RFC 9443 section 3); nil at the end.
    static func isSTUN(_ bytes: ByteBuffer, at offset: Int) -> Bool? {
        bytes.getInteger(at: bytes.readerIndex + offset, as: UInt8.self).map { $0 <= 3 }
    }

    /// Takes one datagram, or several of the protocol above.
    private func receive(_ bytes: ByteBuffer, segmentSize: Int?, on socket: UDPSocket, from source: SocketAddress) {
        guard !self.isClosed, let isSTUN = Self.isSTUN(bytes, at: 0) else {
            return
        }
        if isSTUN {
            self.receiveSTUN(bytes, on: socket, from: source)
            return
        }
        guard self.isPeer(source, on: socket) else {
            self.strangersDropped += 1
            return
        }
        self.delegate?.session(self, received: bytes, segmentSize: segmentSize, on: socket, from: source)
    }

    func socketReceiveComplete(_ socket: UDPSocket) {
        self.delegate?.sessionReceiveComplete(self)
    }

    func socketWritabilityChanged(_ socket: UDPSocket) {
        self.delegate?.session(self, writabilityChangedOf: socket)
    }

    func socketFailed(_ socket: UDPSocket, error: (any Error)?) {
        guard !self.isClosed else { return }
        self.logger.warning("a UDP socket closed by itself", metadata: ["error": "\(error.map { "\($0)" } ?? "none")"])
        if !self.sockets.contains(where: { $0.channel.isActive }) {
            self.fail(.sockets(error.map { "\($0)" } ?? "closed"))
        }
    }

    /// Only who proved to be the peer by STUN gets the attention of the cryptography above.
    private func isPeer(_ source: SocketAddress, on socket: UDPSocket) -> Bool {
        if let path = self.usable, path.socket === socket, path.remote == source {
            return true
        }
        guard let base = self.base(of: socket) else {
            return false
        }
        return self.agent.hasHeardPeer(at: source, on: base)
    }

    private func receiveSTUN(_ message: ByteBuffer, on socket: UDPSocket, from source: SocketAddress) {
        guard let base = self.base(of: socket) else {
            return
        }
        let now = self.eventLoop.now
        if !self.gathering.receive(message, on: base, from: source, at: now) {
            self.agent.receive(message, on: base, from: source, at: now)
        }
        self.advance()
    }

    private func base(of socket: UDPSocket) -> LocalBaseID? {
        self.sockets.firstIndex { $0 === socket }.map { LocalBaseID($0) }
    }
}

// MARK: - What follows

extension DirectSession {
    /// Performs everything that the last change asks for, and sets the timer anew.
    private func advance() {
        // The delegate may call back while it is told something: the loop below takes that up as well.
        guard !self.isAdvancing else { return }
        self.isAdvancing = true
        self.drainGathering()
        var isBusy = true
        while isBusy, !self.isClosed {
            isBusy = false
            while let transmit = self.agent.nextTransmit() { self.perform(transmit) }
            while !self.isClosed, let event = self.agent.nextEvent() {
                self.handle(event)
                isBusy = true
            }
            isBusy = self.drainMonitors() || isBusy
        }
        self.isAdvancing = false
        self.armTimer()
    }

    private func drainGathering() {
        while !self.isClosed, let output = self.gathering.next() {
            switch output {
            case .send(let request, let base, let server):
                if case .refused = self.sockets[base.rawValue].send(request, segmentSize: nil, to: server) {
                    self.gathering.sendFailed(on: base, to: server)
                }
            case .candidate(let candidate):
                if self.agent.addLocalCandidate(candidate, at: self.eventLoop.now) {
                    self.delegate?.session(self, gathered: candidate)
                }
            case .failed(let server, let error):
                self.logger.debug(
                    "a STUN server does not help",
                    metadata: ["server": "\(server)", "error": "\(error.map { "\($0)" } ?? "no answer in time")"])
            case .ended(let mapping):
                self.mapping = mapping
                self.hasGathered = true
                self.endLookups()
                self.considerSpread()
                self.agent.localCandidatesEnded(at: self.eventLoop.now)
                self.delegate?.sessionGatheringEnded(self)
            }
        }
    }

    private func perform(_ transmit: ICETransmit) {
        if transmit.isToStranger {
            let now = self.eventLoop.now
            guard self.checkBudget.take(at: now), CheckBudget.checks.take(at: now) else { return }
        }
        let socket = self.sockets[transmit.base.rawValue]
        if case .refused(let error) = socket.send(transmit.payload, segmentSize: nil, to: transmit.destination) {
            self.agent.sendFailed(
                on: transmit.base, to: transmit.destination, error: UDPSendError(errorNumber: error),
                at: self.eventLoop.now)
        }
    }

    private func handle(_ event: ICEEvent) {
        switch event {
        case .pairUsable(let pair), .selectedPairChanged(let pair):
            self.select(pair)
        case .consentLost(let pair):
            self.logger.debug("the peer stopped answering on a path", metadata: ["remote": "\(pair.remote)"])
            self.drop(pair)
        case .probeAnswered(let id, let size, let roundTripTime):
            let now = self.eventLoop.now
            self.usable?.answered(id, hasPadding: size != nil, roundTripTime: roundTripTime, at: now)
            self.tentative?.answered(id, hasPadding: size != nil, roundTripTime: roundTripTime, at: now)
        case .rttSample:
            // A good moment: some seconds have passed, and the path works.
            self.updateCeiling()
        case .roleChanged:
            break
        case .failed(let report):
            self.fail(.noPair(report))
        }
    }

    /// ICE wants the pair to be used: it is, once it has been confirmed.
    private func select(_ pair: ICECandidatePair) {
        if self.usable?.pair.id == pair.id {
            self.usable?.pair = pair
            self.tentative = nil
        } else if self.tentative?.pair.id == pair.id {
            self.tentative?.pair = pair
        } else {
            let socket = self.sockets[pair.base.rawValue]
            self.tentative = Path(
                pair: pair, socket: socket,
                monitor: PathMonitor(
                    ceiling: Self.ceiling(of: socket, to: pair.remoteAddress) ?? PeerTransport.largestDatagram,
                    usesPadding: self.peerAnswersPadding(), roundTripTime: pair.roundTripTime, at: self.eventLoop.now),
                segmentation: SegmentationProbe())
            self.delegate?.session(self, pathsChanged: .found)
        }
    }

    private func drop(_ pair: ICECandidatePair) {
        if self.tentative?.pair.id == pair.id { self.tentative = nil }
        if self.usable?.pair.id == pair.id {
            self.usable = nil
            self.delegate?.session(self, pathsChanged: .consentLost)
        }
    }

    /// Sends the probes that are due and takes what the monitors have to say. False when that was nothing.
    private func drainMonitors() -> Bool {
        var isBusy = false
        while let size = self.tentative?.monitor.nextProbe(), let pair = self.tentative?.pair {
            isBusy = true
            if let id = self.probe(pair, size) { self.tentative?.monitor.sent(id, size: size) }
        }
        while let size = self.usable?.monitor.nextProbe(), let pair = self.usable?.pair {
            isBusy = true
            if let id = self.probe(pair, size) { self.usable?.monitor.sent(id, size: size) }
        }
        if let path = self.usable, let segments = path.segmentation.nextBurst() {
            isBusy = true
            self.usable?.segmentation.sent(
                self.sendBurst(segments, by: path), roundTripTime: path.roundTripTime, at: self.eventLoop.now)
        }
        if let path = self.tentative, let segments = path.segmentation.nextBurst() {
            isBusy = true
            self.tentative?.segmentation.sent(
                self.sendBurst(segments, by: path), roundTripTime: path.roundTripTime, at: self.eventLoop.now)
        }
        while let event = self.usable?.monitor.nextEvent() {
            isBusy = true
            switch event {
            case .confirmed, .carriesTooLittle: break
            case .limitChanged: self.delegate?.sessionLimitChanged(self)
            case .lost(let loss): self.usableLost(loss)
            }
        }
        while let event = self.tentative?.monitor.nextEvent() {
            isBusy = true
            switch event {
            case .confirmed: self.tentativeConfirmed()
            case .carriesTooLittle: self.rejectTentative()
            case .limitChanged: self.delegate?.sessionLimitChanged(self)
            case .lost: break
            }
        }
        return isBusy
    }

    /// Sends so many checks of full size in one send, and one by itself; nil when ICE has given the pair up.
    private func sendBurst(_ segments: Int, by path: Path) -> (burst: [TransactionID], single: TransactionID)? {
        // What was to be sent before goes by itself.
        while let transmit = self.agent.nextTransmit() { self.perform(transmit) }
        var checks: [TransactionID] = []
        while checks.count < segments, let id = self.probe(path.pair, path.monitor.limit) { checks.append(id) }
        guard checks.count == segments else { return nil }
        var bytes = ByteBuffer()
        var size = 0
        while let transmit = self.agent.nextTransmit() {
            size = transmit.payload.readableBytes
            bytes.writeImmutableBuffer(transmit.payload)
        }
        _ = path.socket.send(bytes, segmentSize: size, to: path.remote)
        return self.probe(path.pair, path.monitor.limit).map { (checks, $0) }
    }

    private func probe(_ pair: ICECandidatePair, _ size: Int) -> TransactionID? {
        self.agent.probe(pair.id, size: size == 0 ? nil : size, at: self.eventLoop.now)
    }

    private func tentativeConfirmed() {
        let isFirst = self.usable == nil
        self.usable = self.tentative
        self.usable?.wasLost = false
        self.tentative = nil
        self.delegate?.session(self, pathsChanged: isFirst ? .confirmed : .betterPair)
    }

    /// ICE's checks get through, what the path is for does not: ICE may have another pair, or look for one. A path that was in
    /// use may come back, and its loss has had its consequences.
    private func rejectTentative() {
        guard let path = self.tentative, !path.wasLost else { return }
        self.logger.debug("a path carries small datagrams only", metadata: ["remote": "\(path.pair.remote)"])
        self.tentative = nil
        self.agent.reject(path.pair.id, at: self.eventLoop.now)
        guard self.isSearching else { return }
        self.delegate?.session(self, pathsChanged: .carriesOnlySmallDatagrams)
        // The spread has not begun for as long as there was a pair.
        self.spread?.end()
        self.spread = nil
        self.considerSpread()
    }

    /// The monitor goes on: the path may come back while ICE has consent to use it.
    private func usableLost(_ loss: PathMonitor.Loss) {
        if self.tentative == nil {
            self.tentative = self.usable
            self.tentative?.wasLost = true
        }
        self.usable = nil
        self.delegate?.session(self, pathsChanged: loss == .silent ? .silent : .carriesOnlySmallDatagrams)
    }

    private func fail(_ failure: Failure) {
        guard !self.isClosed else { return }
        let delegate = self.delegate
        self.close()
        delegate?.session(self, failed: failure)
    }

    private func armTimer() {
        let deadlines = [
            self.agent.nextDeadline, self.gathering.nextDeadline, self.usable?.monitor.nextDeadline,
            self.tentative?.monitor.nextDeadline, self.usable?.segmentation.nextDeadline,
            self.tentative?.segmentation.nextDeadline,
        ]
        let deadline = self.isClosed ? nil : deadlines.compactMap { $0 }.min()
        guard deadline != self.timerDeadline else {
            return
        }
        self.timer?.cancel()
        self.timerDeadline = deadline
        self.timer = deadline.map { deadline in
            self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
                self?.timerFired()
            }
        }
    }

    /// A timer that is so late has waited for the process, not for the network.
    private static let standstill = TimeAmount.seconds(3)

    private func timerFired() {
        let deadline = self.timerDeadline
        self.timer = nil
        self.timerDeadline = nil
        guard !self.isClosed else { return }
        let now = self.eventLoop.now
        if let deadline, now - deadline > Self.standstill { self.agent.resume(at: now) }
        self.gathering.handleTimeout(at: now)
        self.agent.handleTimeout(at: now)
        self.usable?.monitor.handleTimeout(at: now)
        self.tentative?.monitor.handleTimeout(at: now)
        self.usable?.segmentation.handleTimeout(at: now)
        self.tentative?.segmentation.handleTimeout(at: now)
        self.advance()
    }
}
