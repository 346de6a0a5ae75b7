import ICE
import Logging
import NIOCore
import STUN
import UDP

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Hears what a transport finds and receives, on its event loop. Not called from inside a call to the transport, but
/// where it says so.
protocol PeerTransportDelegate: AnyObject {
    /// A candidate beyond those that were there at the start.
    func transport(_ transport: PeerTransport, gathered candidate: ICECandidate)
    /// No more candidates will come.
    func transportGatheringEnded(_ transport: PeerTransport)
    /// Datagrams go this way from now on; the first time: there is a way at all.
    func transport(_ transport: PeerTransport, pathChanged path: PeerPath, roundTripTime: TimeAmount?)
    /// `maximumDatagramSize` has changed, with the path as it was.
    func transportLimitChanged(_ transport: PeerTransport)
    /// A datagram of the protocol above; with `segmentSize` several of that size, the last perhaps shorter.
    func transport(_ transport: PeerTransport, received bytes: ByteBuffer, segmentSize: Int?)
    /// The end of a batch of datagrams.
    func transportReceiveComplete(_ transport: PeerTransport)
    /// `isWritable` has changed. May be called from inside `send`.
    func transportWritabilityChanged(_ transport: PeerTransport)
    /// There is no path, or none any more. The last call.
    func transport(_ transport: PeerTransport, failed failure: PeerTransport.Failure)
}

/// The way for datagrams to the peer: sockets, gathering, ICE, and the choice between paths. Belongs to its event loop.
///
/// The protocol above sends and receives without knowing about paths. STUN shares the sockets with it; the first byte
/// tells them apart (RFC 9443). The bridge of the design becomes one more case of `PeerPath`, chosen in `choosePath`.
final class PeerTransport: DatagramPath {
    enum Failure: Error {
        /// No path was found.
        case noPath(ICEReport)
        /// There was one, and it died.
        case pathLost(ICEReport)
        /// All sockets are gone.
        case sockets(String)
    }

    /// Where datagrams go: what `PeerPath` tells people, in terms of sockets.
    private struct Route {
        let socket: UDPSocket
        let remote: SocketAddress
        let path: PeerPath
    }

    /// Bound of what waits for the first path, in bytes: the first flight of the side that hears the other before its
    /// own checks are answered.
    private static let maximumEarlyBytes = 64 << 10

    /// More is never sent, whatever the path carries: IPv6 over Ethernet (1500 − 40 − 8). So a channel behaves the same on
    /// every network.
    static let largestDatagram = 1452

    let eventLoop: any EventLoop
    weak var delegate: (any PeerTransportDelegate)?
    /// What the path is known to carry, in bytes of UDP payload.
    private(set) var maximumDatagramSize = PeerTransport.largestDatagram
    /// What the peer must know of us.
    let localCredentials = ICECredentials.random()
    /// How the peer is reached.
    private(set) var path: PeerPath?
    /// Datagrams that came from nobody we know.
    private(set) var strangersDropped = 0

    let sockets: [UDPSocket]
    private let logger: Logger
    private var agent: ICEAgent
    private var gathering: STUNGathering
    private var route: Route?
    private var early: [(bytes: ByteBuffer, segmentSize: Int?)] = []
    private var earlyBytes = 0
    private var timer: Scheduled<Void>?
    private var timerDeadline: NIODeadline?
    private var isClosed = false

    init(
        sockets: [UDPSocket], hosts: [ICECandidate], role: ICERole, configuration: PeerChannelConfiguration,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.sockets = sockets
        self.eventLoop = eventLoop
        self.logger = logger
        var ice = configuration.ice
        ice.timeLimit = configuration.pathTimeout
        self.agent = ICEAgent(role: role, local: self.localCredentials, configuration: ice)
        self.gathering = STUNGathering(hosts: hosts)
        for host in hosts {
            self.agent.addLocalCandidate(host, at: eventLoop.now)
        }
        for socket in sockets {
            socket.delegate = self
        }
    }

    /// Those known so far.
    var localCandidates: [ICECandidate] { self.agent.localCandidates }
    /// What was tried so far.
    var report: ICEReport { self.agent.report }
    /// Of the pair in use, as its last check measured it.
    var roundTripTime: TimeAmount? { self.agent.selectedPair?.roundTripTime }

    // MARK: Looking for a path

    /// Asks STUN servers for reflexive candidates. Names are resolved elsewhere; `servers` are addresses.
    func gather(from servers: [SocketAddress]) {
        guard !self.isClosed else { return }
        self.gathering.start(servers: servers, at: self.eventLoop.now)
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

    // MARK: Datagrams

    /// Sends by the current path. Before there is one, the first few datagrams wait for it and the rest are dropped.
    @discardableResult
    func send(_ bytes: ByteBuffer, segmentSize: Int?) -> Bool {
        guard let route = self.route else {
            guard !self.isClosed, self.earlyBytes + bytes.readableBytes <= Self.maximumEarlyBytes else { return false }
            self.early.append((bytes, segmentSize))
            self.earlyBytes += bytes.readableBytes
            return true
        }
        // Whether the path still works is for consent to find out.
        switch route.socket.send(bytes, segmentSize: segmentSize, to: route.remote) {
        case .sent: return true
        case .dropped: return false
        case .refused(let error):
            if error == EMSGSIZE { self.updateLimit() }
            return false
        }
    }

    /// False while the kernel takes nothing more.
    var isWritable: Bool { self.route?.socket.isWritable ?? true }

    /// Closes the sockets. The delegate hears nothing more.
    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.delegate = nil
        self.timer?.cancel()
        self.timer = nil
        self.route = nil
        self.early = []
        for socket in self.sockets {
            socket.close()
        }
    }
}

@available(*, unavailable)
extension PeerTransport: Sendable {}

// MARK: - What arrives

extension PeerTransport: UDPSocketDelegate {
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
    private static func isSTUN(_ bytes: ByteBuffer, at offset: Int) -> Bool? {
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
        self.delegate?.transport(self, received: bytes, segmentSize: segmentSize)
    }

    func socketReceiveComplete(_ socket: UDPSocket) {
        self.delegate?.transportReceiveComplete(self)
    }

    func socketWritabilityChanged(_ socket: UDPSocket) {
        if socket === self.route?.socket {
            self.delegate?.transportWritabilityChanged(self)
        }
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
        if let route = self.route, route.socket === socket, route.remote == source {
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

extension PeerTransport {
    /// Performs everything that the last change asks for, and sets the timer anew.
    private func advance() {
        self.drainGathering()
        while let transmit = self.agent.nextTransmit() {
            self.perform(transmit)
        }
        while !self.isClosed, let event = self.agent.nextEvent() {
            self.handle(event)
        }
        self.armTimer()
    }

    private func drainGathering() {
        while let output = self.gathering.next() {
            switch output {
            case .send(let request, let base, let server):
                _ = self.sockets[base.rawValue].send(request, segmentSize: nil, to: server)
            case .candidate(let candidate):
                if self.agent.addLocalCandidate(candidate, at: self.eventLoop.now) {
                    self.notify { $0.transport(self, gathered: candidate) }
                }
            case .failed(let server, let error):
                self.logger.debug(
                    "a STUN server does not help",
                    metadata: ["server": "\(server)", "error": "\(error.map { "\($0)" } ?? "no answer in time")"])
            case .ended:
                self.agent.localCandidatesEnded(at: self.eventLoop.now)
                self.notify { $0.transportGatheringEnded(self) }
            }
        }
    }

    private func perform(_ transmit: ICETransmit) {
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
            self.choosePath(pair)
        case .consentLost(let pair):
            self.logger.debug("the peer stopped answering on a path", metadata: ["remote": "\(pair.remote)"])
        case .rttSample:
            // A good moment: some seconds have passed, and the path works.
            self.updateLimit()
        case .roleChanged:
            break
        case .failed(let report):
            self.fail(self.path == nil ? .noPath(report) : .pathLost(report))
        }
    }

    /// Here the bridge comes in later: it is the path while there is no pair.
    private func choosePath(_ pair: ICECandidatePair) {
        let path = PeerPath.direct(local: pair.local.address, remote: pair.remoteAddress)
        let isNew = path != self.path
        self.path = path
        self.route = Route(socket: self.sockets[pair.base.rawValue], remote: pair.remoteAddress, path: path)
        self.updateLimit()
        self.delegate?.transportWritabilityChanged(self)
        let early = self.early
        self.early = []
        self.earlyBytes = 0
        for transmit in early {
            self.send(transmit.bytes, segmentSize: transmit.segmentSize)
        }
        if isNew {
            self.notify { $0.transport(self, pathChanged: path, roundTripTime: pair.roundTripTime) }
        }
    }

    /// Looks up what the kernel knows of the way to the peer.
    private func updateLimit() {
        guard let route = self.route,
            let bytes = RouteMTU.bytes(to: route.remote, from: route.socket.localAddress)
        else { return }
        let limit = min(bytes - RouteMTU.headerBytes(to: route.remote), Self.largestDatagram)
        guard limit != self.maximumDatagramSize else { return }
        self.maximumDatagramSize = limit
        self.notify { $0.transportLimitChanged(self) }
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

    private func armTimer() {
        let deadline =
            self.isClosed ? nil : [self.agent.nextDeadline, self.gathering.nextDeadline].compactMap { $0 }.min()
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

    private func timerFired() {
        self.timer = nil
        self.timerDeadline = nil
        guard !self.isClosed else { return }
        let now = self.eventLoop.now
        self.gathering.handleTimeout(at: now)
        self.agent.handleTimeout(at: now)
        self.advance()
    }
}
