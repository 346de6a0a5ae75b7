import AppProto
import ICE
import NIOCore
import Synchronization
import UDP

/// Carries out a ``SpreadPlan`` beside a session's ordinary checks: many sockets here, or many ports at the peer. Belongs to
/// the session's event loop.
///
/// As soon as one datagram gets through, the session's ICE agent knows what to do with it, and this has done its work.
final class SpreadRun {
    /// Ordinary checks get this long before it begins: most peers need nothing else.
    private static let headStart = TimeAmount.seconds(1)
    /// Beyond the longest time that probes are sent for: one side begins a little later than the other, and the last probe
    /// has to be answered. So long the sockets must stay open, however soon they all were.
    private static let patience = TimeAmount.seconds(3)
    /// Between two looks, once all is sent, at whether a pair has been found.
    private static let lookInterval = TimeAmount.milliseconds(500)
    /// Runs in this process at a time: each takes hundreds of sockets or mappings. Those that find no place are over.
    private static let maximumRuns = 2
    private static let runs = Mutex(0)

    private let plan: SpreadPlan
    private weak var session: DirectSession?
    private let eventLoop: any EventLoop
    /// On the hard side: those that no check has come in on.
    private var sockets: [UDPSocket] = []
    private var guesses: PortGuesses<SystemRandomNumberGenerator>?
    private var left = 0
    private var pacing = TimeAmount.zero
    private var deadline = NIODeadline.distantFuture
    private var timer: Scheduled<Void>?
    private var holdsPlace = false
    private var isOver = false

    init(_ plan: SpreadPlan, session: DirectSession) {
        self.plan = plan
        self.session = session
        self.eventLoop = session.eventLoop
    }

    func start() {
        self.schedule(in: Self.headStart) { $0.begin() }
    }

    private func begin() {
        guard let session = self.session, session.best == nil, !session.remotesForSpread.isEmpty, self.takePlace()
        else {
            return self.end()
        }
        switch self.plan {
        case .opensSockets(let count, let pacing):
            self.left = count
            self.pacing = pacing
        case .probesPorts(let count, let pacing):
            self.left = count
            self.pacing = pacing
            self.guesses = PortGuesses(
                MappedPorts.observed(in: session.remotesForSpread).first, count: count,
                generator: SystemRandomNumberGenerator())
        case .none:
            return self.end()
        }
        session.logger.debug("guessing ports", metadata: ["plan": "\(self.plan)"])
        self.deadline = self.eventLoop.now + SpreadPlan.longestTime + Self.patience
        session.holdOn(until: self.deadline)
        self.step()
    }

    private func step() {
        // A pair that works, confirmed or not, makes the rest superfluous.
        guard let session = self.session, session.best == nil, self.eventLoop.now < self.deadline else {
            return self.end()
        }
        guard self.left > 0 else {
            return self.schedule(in: Self.lookInterval) { $0.step() }
        }
        self.left -= 1
        if self.guesses != nil {
            self.probe(session)
        } else {
            self.open(session)
        }
        self.schedule(in: self.pacing) { $0.step() }
    }

    /// One more port of the peer's NAT.
    private func probe(_ session: DirectSession) {
        guard let port = self.guesses?.next(), var target = session.remotesForSpread.first?.address,
            let check = session.strayCheck(),
            let socket = session.sockets.first(where: { $0.localAddress.protocol == .inet })
        else { return }
        target.port = Int(port)
        // It is a guess that goes amiss; there are many.
        guard CheckBudget.spreads.take(at: self.eventLoop.now) else { return }
        _ = socket.send(check, segmentSize: nil, to: target)
    }

    /// One more socket, whose datagram makes a hole in our NAT.
    private func open(_ session: DirectSession) {
        guard let any = try? SocketAddress(ipAddress: "0.0.0.0", port: 0) else { return }
        UDPSocket.bind(to: any, eventLoop: self.eventLoop).assumeIsolated().whenSuccess { bound in
            let socket = bound.value
            guard !self.isOver, let session = self.session, session.best == nil, let check = session.strayCheck() else {
                return socket.close()
            }
            self.sockets.append(socket)
            socket.delegate = self
            for remote in session.remotesForSpread.prefix(2) where CheckBudget.spreads.take(at: self.eventLoop.now) {
                _ = socket.send(check, segmentSize: nil, to: remote.address)
            }
        }
    }

    /// Closes what has not become part of the session.
    func end() {
        guard !self.isOver else { return }
        self.isOver = true
        self.timer?.cancel()
        self.timer = nil
        for socket in self.sockets { socket.close() }
        self.sockets = []
        if self.holdsPlace { Self.runs.withLock { $0 -= 1 } }
        self.holdsPlace = false
    }

    private func takePlace() -> Bool {
        self.holdsPlace = Self.runs.withLock { runs in
            guard runs < Self.maximumRuns else { return false }
            runs += 1
            return true
        }
        return self.holdsPlace
    }

    private func schedule(in time: TimeAmount, _ body: @escaping (SpreadRun) -> Void) {
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: time) { [weak self] in
            guard let self, !self.isOver else { return }
            body(self)
        }
    }
}

@available(*, unavailable)
extension SpreadRun: Sendable {}

extension SpreadRun: UDPSocketDelegate {
    func socket(
        _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
        at local: SocketAddress?
    ) {
        guard !self.isOver, let session = self.session,
            let first = bytes.getSlice(
                at: bytes.readerIndex, length: min(segmentSize ?? bytes.readableBytes, bytes.readableBytes)),
            session.isCheckOfPeer(first)
        else { return }
        self.sockets.removeAll { $0 === socket }
        guard session.adopt(socket) else { return socket.close() }
        session.socket(socket, received: bytes, segmentSize: segmentSize, from: source, at: local)
    }

    func socketReceiveComplete(_ socket: UDPSocket) {}
    func socketWritabilityChanged(_ socket: UDPSocket) {}

    func socketFailed(_ socket: UDPSocket, error: (any Error)?) {
        self.sockets.removeAll { $0 === socket }
    }
}

extension SpreadPlan {
    /// What this side does when the two sides' NATs map like this; see there for the spreads.
    init(local: MappingBehavior, peer: MappingBehavior, localSpread: Int, peerSpread: Int) {
        guard local != .udpBlocked, peer != .udpBlocked else {
            self = .none(.udpBlocked)
            return
        }
        self.init(
            localDependsOnDestination: local.dependsOnDestination, peerDependsOnDestination: peer.dependsOnDestination,
            localSpread: localSpread, peerSpread: peerSpread)
    }
}
