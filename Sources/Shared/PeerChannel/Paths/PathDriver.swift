import Basics
import Crypto
import ICE
import LibC
import Logging
import NIOCore
import NameResolution
import PeerPath
import QUIC
import STUN
import UDP

/// Hears what becomes of paths, on its event loop, never from inside `send` but where it says so.
protocol PathDriverDelegate: AnyObject {
    /// What the engine wants done that needs no socket.
    func path(_ driver: PathDriver, wants output: PathOutput)
    /// A datagram of the protocol above; with `segmentSize` several of that size, the last perhaps shorter. Equal `arrival`s
    /// came the same way.
    func path(_ driver: PathDriver, received bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32)
    /// The end of a batch of datagrams.
    func pathReceiveComplete(_ driver: PathDriver)
    /// `isWritable` has changed. May be called from inside `send`.
    func pathWritabilityChanged(_ driver: PathDriver)
}

/// Gives a ``PathEngine`` its sockets, its clock and its timer. The protocol above sends and receives without knowing of
/// paths. Belongs to its event loop.
final class PathDriver: DatagramPath {
    /// Datagrams sent at once go over the bridge in pieces, so that other channels get their turns in between.
    private static let datagramsPerBridgeMessage = 12

    weak var delegate: (any PathDriverDelegate)?
    private(set) var engine: PathEngine
    let sockets: PathSockets
    private let configuration: PeerChannelConfiguration
    private let eventLoop: any EventLoop
    private let logger: Logger
    /// Sends by way of the server.
    private let sendOverBridge: (ByteBuffer, Int?) -> Void
    /// Nil when there has been a path.
    private var early: EarlyDatagrams? = EarlyDatagrams()
    /// The names of STUN servers that are being looked up, by session.
    private var lookups: [UInt32: [NameLookup]] = [:]
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var isDraining = false
    private var isFlushScheduled = false
    /// Why sockets could not be opened, or are gone.
    private(set) var socketError: PeerChannelError?

    init(
        side: PeerSide, configuration: PeerChannelConfiguration, eventLoop: any EventLoop, logger: Logger,
        sendOverBridge: @escaping (ByteBuffer, Int?) -> Void
    ) {
        let sockets = PathSockets(configuration: configuration, eventLoop: eventLoop)
        self.engine = PathEngine(side: side, configuration: PathConfiguration(configuration, sockets: sockets))
        self.sockets = sockets
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.sendOverBridge = sendOverBridge
        sockets.delegate = self
    }

    /// Tells the engine of something, at this time, and does what it wants.
    func tell(_ body: (inout PathEngine, NIODeadline) -> Void) {
        body(&self.engine, self.eventLoop.now)
        self.drain()
    }

    /// Closes the sockets. The delegate hears nothing more.
    func close() {
        self.delegate = nil
        self.early = nil
        self.engine.stop()
        self.drain()
        self.sockets.close()
        for lookup in self.lookups.values.joined() { lookup.cancel() }
        self.lookups = [:]
    }

    // MARK: What the engine wants

    private func drain() {
        // What is told meanwhile is taken up by the loop below as well.
        guard !self.isDraining else { return }
        self.isDraining = true
        while let output = self.engine.nextOutput() { self.perform(output) }
        self.isDraining = false
        self.armTimer()
    }

    private func perform(_ output: PathOutput) {
        switch output {
        case .openSockets(let generation): self.open(generation)
        case .openSpreadSocket(let generation):
            self.sockets.openAnother(generation) { [weak self] base, port in
                self?.tell { $0.spreadSocketOpened(base, port: port, at: $1) }
            }
        case .closeSocket(let base): self.sockets.close(base)
        case .closeSockets(let generation):
            self.sockets.close(generation)
            self.endLookups(generation)
            // It may have been in the middle of a batch, of whose end its sockets tell no more: the protocol above would wait
            // for that with all it has to say.
            self.delegate?.pathReceiveComplete(self)
        case .transmit(let bytes, let segmentSize, let base, let remote):
            guard case .refused(let error) = self.sockets[base]?.send(bytes, segmentSize: segmentSize, to: remote)
            else { return }
            self.tell { $0.sendFailed(UDPSendError(errorNumber: error), from: base, to: remote, at: $1) }
        case .lookUpServers(let generation): self.lookUpServers(generation)
        case .endOfCandidates(let generation, _):
            self.endLookups(generation)
            self.delegate?.path(self, wants: output)
        case .pathChanged:
            self.delegate?.pathWritabilityChanged(self)
            self.sendEarly()
            self.delegate?.path(self, wants: output)
        case .note(let note): self.logger.debug("\(note.message)", metadata: note.metadata)
        case .described, .candidate, .askRestart, .answerRestart, .wantRestart, .limitChanged, .forgetRoundTrips,
            .noDirectPath, .ended:
            self.delegate?.path(self, wants: output)
        }
    }

    private func open(_ generation: UInt32) {
        self.sockets.open(generation) { [weak self] result in
            switch result {
            case .success(let hosts): self?.tell { $0.socketsOpened(generation: generation, hosts: hosts, at: $1) }
            case .failure(let error):
                self?.logger.debug("no sockets for direct paths", metadata: ["error": "\(error)"])
                self?.socketError = error
                self?.tell { $0.socketsFailed(generation: generation, at: $1) }
            }
        }
    }

    private func lookUpServers(_ generation: UInt32) {
        // With everything on one machine there is no NAT to see through.
        let servers = self.configuration.loopbackOnly ? [] : self.configuration.stunServers
        let lookups = servers.map { NameResolver.shared.lookUp($0.host, port: $0.port, on: self.eventLoop) }
        self.lookups[generation] = lookups
        // Each server is asked as soon as an address of it is known.
        let answers = lookups.flatMap { [$0.v4Addresses, $0.v6Addresses] }
        self.tell { $0.gather(generation: generation, unresolved: answers.count, at: $1) }
        for answer in answers {
            answer.assumeIsolated().whenComplete { [weak self] result in
                self?.tell {
                    $0.resolved(generation: generation, servers: (try? result.get()) ?? [], at: $1)
                }
            }
        }
    }

    private func endLookups(_ generation: UInt32) {
        for lookup in self.lookups.removeValue(forKey: generation) ?? [] { lookup.cancel() }
    }

    private func armTimer() {
        let deadline = self.engine.nextDeadline
        guard deadline != self.timer?.deadline else { return }
        self.timer?.task.cancel()
        self.timer = deadline.map { deadline in
            let task = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
                self?.timer = nil
                self?.tell { $0.handleTimeout(at: $1) }
            }
            return (deadline, task)
        }
    }

    // MARK: Datagrams of the protocol above

    /// What the path is known to carry, in bytes of UDP payload.
    var maximumDatagramSize: Int { self.engine.maximumDatagramSize }

    var preferredDatagramSize: Int {
        // Beside the message around them, what every control connection has room for once its path has been measured.
        self.engine.usesDirectPath ? self.maximumDatagramSize : QUICConfiguration.leastUDPPayload
    }

    var roundTripTime: TimeAmount? { self.engine.roundTripTime }

    /// False while the kernel takes nothing more.
    var isWritable: Bool {
        if case .direct(let base, _, _) = self.engine.route { self.sockets[base]?.isWritable ?? true } else { true }
    }

    /// Sends by the current path. Before there is one, the first few datagrams wait for it and the rest are dropped.
    @discardableResult
    func send(_ bytes: ByteBuffer, segmentSize: Int?) -> Bool {
        switch self.engine.route {
        case .bridge:
            self.bridge(bytes, segmentSize: segmentSize)
            return true
        case .direct(let base, let remote, _): return self.send(bytes, segmentSize: segmentSize, by: base, to: remote)
        case nil: return self.early?.add(bytes, segmentSize: segmentSize) ?? false
        }
    }

    private func send(_ bytes: ByteBuffer, segmentSize: Int?, by base: PathBase, to remote: SocketAddress) -> Bool {
        let datagrams = segmentSize.map { (bytes.readableBytes + $0 - 1) / $0 } ?? 1
        let (together, wantsMore) = self.engine.sends(datagrams, at: self.eventLoop.now)
        if wantsMore { self.scheduleFlush() }
        // Whether the path still works is for the engine to find out.
        guard let socket = self.sockets[base] else { return false }
        var result = UDPSocket.SendResult.sent
        if together {
            result = socket.send(bytes, segmentSize: segmentSize, to: remote)
        } else {
            for datagram in DatagramSegments(bytes, size: segmentSize) {
                let one = socket.send(datagram, segmentSize: nil, to: remote)
                if one != .sent { result = one }
            }
        }
        if case .refused(EMSGSIZE) = result {
            self.engine.sentTooLarge(at: self.eventLoop.now)
            self.scheduleFlush()
        }
        return result == .sent
    }

    /// The protocol above is in the middle of sending.
    private func scheduleFlush() {
        guard !self.isFlushScheduled else { return }
        self.isFlushScheduled = true
        self.eventLoop.assumeIsolated().execute { [weak self] in
            self?.isFlushScheduled = false
            self?.tell { $0.flush(at: $1) }
        }
    }

    private func bridge(_ bytes: ByteBuffer, segmentSize: Int?) {
        guard let segmentSize, bytes.readableBytes > segmentSize else {
            return self.sendOverBridge(bytes, nil)
        }
        for piece in DatagramSegments(bytes, size: segmentSize * Self.datagramsPerBridgeMessage) {
            self.sendOverBridge(piece, piece.readableBytes > segmentSize ? segmentSize : nil)
        }
    }

    private func sendEarly() {
        guard self.engine.route != nil, var early = self.early else { return }
        self.early = nil
        for datagrams in early.takeAll() { self.send(datagrams.bytes, segmentSize: datagrams.segmentSize) }
    }

    /// Datagrams came by way of the server.
    func receiveFromBridge(_ bytes: ByteBuffer, segmentSize: Int?) {
        // No connectivity check has any business here.
        guard DatagramRuns.isSTUN(bytes, at: 0) == false,
            let arrival = self.engine.acceptFromBridge(at: self.eventLoop.now)
        else { return }
        self.drain()
        self.delegate?.path(self, received: bytes, segmentSize: segmentSize, arrival: arrival)
        self.delegate?.pathReceiveComplete(self)
    }
}

@available(*, unavailable)
extension PathDriver: Sendable {}

extension PathDriver: PathSocketsDelegate {
    func received(_ bytes: ByteBuffer, segmentSize: Int?, on base: PathBase, from source: SocketAddress) {
        for run in DatagramRuns(bytes, segmentSize: segmentSize) {
            if run.isSTUN {
                self.tell { $0.receive(run.bytes, on: base, from: source, at: $1) }
            } else if let arrival = self.engine.accept(from: source, on: base, at: self.eventLoop.now) {
                if self.engine.hasOutput { self.drain() }
                self.delegate?.path(self, received: run.bytes, segmentSize: run.segmentSize, arrival: arrival)
            }
        }
    }

    func receiveComplete() { self.delegate?.pathReceiveComplete(self) }

    func writabilityChanged(of base: PathBase) {
        if case .direct(base, _, _) = self.engine.route { self.delegate?.pathWritabilityChanged(self) }
    }

    func socketLost(_ base: PathBase, error: (any Error)?, isLast: Bool) {
        let words = error.map { "\($0)" } ?? "closed"
        self.logger.warning("a UDP socket closed by itself: \(words)", metadata: ["error": "\(words)"])
        guard isLast else { return }
        self.socketError = .noSocket(words)
        self.tell { $0.socketsLost(generation: base.generation, at: $1) }
    }
}

extension PathConfiguration {
    init(_ configuration: PeerChannelConfiguration, sockets: PathSockets) {
        self.init(hmacSHA1: HMAC.sha1)
        self.choice = configuration.pathChoice
        self.serverBridges = configuration.serverBridges
        self.ice = configuration.ice
        self.pathTimeout = configuration.pathTimeout
        self.pathLossTimeout = configuration.pathLossTimeout
        self.directRetryInterval = configuration.directRetryInterval
        self.resources.owner = configuration.checkOwner
        let (loopbackOnly, permits) = (configuration.loopbackOnly, configuration.permitsCandidate)
        self.spread = loopbackOnly ? 0 : configuration.spread
        self.permitsCandidate = { address in
            let isLoopback = TransportAddress(address)?.isLoopback ?? true
            return loopbackOnly ? isLoopback : !isLoopback && permits(address)
        }
        self.ceiling = { [weak sockets] base, remote in
            guard let socket = sockets?[base] else { return nil }
            return RouteMTU.bytes(to: remote, from: socket.localAddress).map { $0 - RouteMTU.headerBytes(to: remote) }
        }
    }
}

extension PathNote {
    fileprivate var message: String {
        switch self {
        case .serverDoesNotHelp: "a STUN server does not help"
        case .peerStoppedAnswering: "the peer stopped answering on a path"
        case .carriesSmallDatagramsOnly: "a path carries small datagrams only"
        case .guessesPorts: "guessing ports"
        }
    }

    fileprivate var metadata: Logger.Metadata {
        switch self {
        case .serverDoesNotHelp(let server, let error):
            ["server": "\(server)", "error": "\(error.map { "\($0)" } ?? "no answer in time")"]
        case .peerStoppedAnswering(let remote), .carriesSmallDatagramsOnly(let remote): ["remote": "\(remote)"]
        case .guessesPorts(let plan): ["plan": "\(plan)"]
        }
    }
}
