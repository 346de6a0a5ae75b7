import Basics
import Crypto
import ICE
import NIOCore

@testable import PeerPath

/// A client's and an agent's engine, a network between them and a server beside them, all in virtual time.
final class EnginePair {
    /// One of the two ends.
    enum End: CaseIterable {
        case client
        case agent

        var other: End { self == .client ? .agent : .client }
    }

    /// What is under way.
    private enum Event {
        case datagram(ByteBuffer, to: SocketAddress, from: SocketAddress)
        case message(PathMessage, to: End)
        case sockets(UInt32, of: End)
    }

    static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private static let delay = TimeAmount.milliseconds(10)

    private(set) var now = EnginePair.start
    var engines: [End: PathEngine] = [:]
    private var events: [(at: NIODeadline, event: Event)] = []
    private var sockets: [SocketAddress: (end: End, base: PathBase)] = [:]
    private var nextPort: [End: Int] = [.client: 5000, .agent: 6000]
    private var nextRequest: UInt64 = 0
    private var agentHasBegun = false

    /// Whether datagrams get through straight to this end.
    var isReached: [End: Bool] = [.client: true, .agent: true]
    /// The largest that do, in bytes.
    var largest = 1500
    /// Whether this end can open sockets.
    var hasSockets: [End: Bool] = [.client: true, .agent: true]
    /// Whether the server passes messages on.
    var serverIsThere = true
    /// What the agent's answer to a restart is held up by.
    var restartDelay = TimeAmount.milliseconds(10)
    /// What each end has had to say that is no datagram.
    private(set) var paths: [End: [SelectedPath?]] = [.client: [], .agent: []]
    private(set) var reasons: [End: [PathChangeReason]] = [.client: [], .agent: []]
    private(set) var restarts: [PathDescription] = []
    private(set) var ended: [End: PathFailure] = [:]
    private(set) var reports: [End: Int] = [:]
    /// How often what was measured was to be forgotten.
    private(set) var forgotten: [End: Int] = [:]

    init(
        choice: [End: PathChoice] = [:], bridges: Bool = true,
        change: (inout PathConfiguration) -> Void = { _ in }
    ) {
        for end in End.allCases {
            var configuration = PathConfiguration(hmacSHA1: HMAC.sha1)
            configuration.choice = choice[end] ?? .auto
            configuration.serverBridges = bridges
            configuration.resources = PathResources()
            change(&configuration)
            self.engines[end] = PathEngine(side: end == .client ? .client : .agent, configuration: configuration)
        }
    }

    /// Begins at the client; the agent follows with the offer.
    func begin() {
        self.tell(.client) { engine, _ in engine.start() }
    }

    func tell(_ end: End, _ body: (inout PathEngine, NIODeadline) -> Void) {
        body(&self.engines[end]!, self.now)
        while let output = self.engines[end]?.nextOutput() { self.perform(output, of: end) }
    }

    /// How the other end is reached from this one: `bridge`, `direct` or `none`.
    func path(_ end: End) -> String { self.engines[end]?.route?.path.name ?? "none" }

    /// Whether a datagram of the protocol above gets to the other end now.
    func delivers(from end: End) -> Bool {
        switch self.engines[end]?.route {
        case .bridge:
            var arrival: UInt32?
            if self.serverIsThere { self.tell(end.other) { arrival = $0.acceptFromBridge(at: $1) } }
            return arrival != nil
        case .direct(let base, let remote, _):
            guard self.isReached[end.other] == true, let to = self.sockets[remote],
                let from = self.sockets.first(where: { $0.value == (end, base) })?.key
            else { return false }
            var arrival: UInt32?
            self.tell(end) { _ = $0.sends(1, at: $1) }
            self.tell(to.end) { arrival = $0.accept(from: from, on: to.base, at: $1) }
            return arrival != nil
        case nil: return false
        }
    }

    // MARK: Time

    func run(for time: TimeAmount) {
        let end = self.now + time
        while let (at, step) = self.next(), at <= end {
            self.now = max(self.now, at)
            step()
        }
        self.now = end
    }

    /// Runs until this is true. Returns whether it has become so, and how long that took.
    func run(until limit: TimeAmount, _ condition: (EnginePair) -> Bool) -> TimeAmount? {
        let began = self.now
        while !condition(self) {
            guard let (at, step) = self.next(), at <= began + limit else { return nil }
            self.now = max(self.now, at)
            step()
        }
        return self.now - began
    }

    private func next() -> (NIODeadline, () -> Void)? {
        var best: (NIODeadline, () -> Void)?
        func offer(_ at: NIODeadline, _ step: @escaping () -> Void) {
            if best.map({ at < $0.0 }) ?? true { best = (at, step) }
        }
        if let index = self.events.indices.min(by: { self.events[$0].at < self.events[$1].at }) {
            offer(self.events[index].at) { self.arrive(self.events.remove(at: index).event) }
        }
        for end in End.allCases {
            if let deadline = self.engines[end]?.nextDeadline {
                offer(deadline) { self.tell(end) { $0.handleTimeout(at: $1) } }
            }
        }
        return best
    }

    // MARK: What the engines want

    private func send(_ event: Event, after delay: TimeAmount = EnginePair.delay) {
        self.events.append((self.now + delay, event))
    }

    private func say(_ message: PathMessage, to end: End) {
        if self.serverIsThere { self.send(.message(message, to: end)) }
    }

    private func perform(_ output: PathOutput, of end: End) {
        switch output {
        case .openSockets(let generation): self.send(.sockets(generation, of: end), after: .microseconds(10))
        case .closeSockets(let generation):
            self.sockets = self.sockets.filter { $0.value.end != end || $0.value.base.generation != generation }
        case .closeSocket(let base): self.sockets = self.sockets.filter { $0.value != (end, base) }
        case .transmit(let bytes, let segmentSize, let base, let remote):
            guard let source = self.sockets.first(where: { $0.value == (end, base) })?.key else { return }
            var rest = bytes
            while let datagram = rest.readSlice(length: min(segmentSize ?? rest.readableBytes, rest.readableBytes)),
                datagram.readableBytes > 0
            {
                if datagram.readableBytes <= self.largest { self.send(.datagram(datagram, to: remote, from: source)) }
            }
        case .lookUpServers(let generation):
            self.tell(end) { $0.gather(generation: generation, unresolved: 0, at: $1) }
        case .described:
            guard let local = self.engines[end]?.localDescription else { return }
            self.say(.description(local, answersPadding: true), to: end.other)
        case .candidate(let candidate, let generation):
            self.say(.candidate(candidate, generation: generation), to: end.other)
        case .endOfCandidates(let generation, let mapping):
            self.say(.endOfCandidates(generation: generation, mapping, spread: 0), to: end.other)
        case .askRestart(let description):
            self.restarts.append(description)
            self.nextRequest += 1
            guard self.serverIsThere else {
                return self.send(.message(.restartFailed, to: end))
            }
            self.send(.message(.restart(description, request: self.nextRequest), to: end.other))
        case .answerRestart(let description, _):
            guard self.serverIsThere else { return }
            self.send(.message(.restarted(description), to: end.other), after: self.restartDelay)
        case .wantRestart: self.say(.restartWanted, to: end.other)
        case .pathChanged(_, let new, let reason):
            self.paths[end]?.append(new)
            self.reasons[end]?.append(reason)
            // The handshake of the protocol above takes a round trip.
            if new != nil { self.tell(end) { $0.connected(at: $1) } }
        case .noDirectPath: self.reports[end, default: 0] += 1
        case .ended(let failure): self.ended[end] = failure
        case .forgetRoundTrips: self.forgotten[end, default: 0] += 1
        case .openSpreadSocket, .limitChanged, .note: break
        }
    }

    private func arrive(_ event: Event) {
        switch event {
        case .datagram(let bytes, let remote, let source):
            guard let (end, base) = self.sockets[remote], self.isReached[end] == true else { return }
            self.tell(end) { $0.receive(bytes, on: base, from: source, at: $1) }
        case .message(let message, let end):
            if case .description = message, end == .agent, !self.agentHasBegun {
                self.agentHasBegun = true
                self.tell(.agent) { engine, _ in engine.start() }
            }
            self.deliver(message, to: end)
        case .sockets(let generation, let end): self.open(generation, of: end)
        }
    }

    /// An agent answers an offer when its sockets are open: what comes before that waits.
    private func deliver(_ message: PathMessage, to end: End) {
        if case .description = message, self.engines[end]?.course == .opening {
            return self.send(.message(message, to: end), after: .microseconds(20))
        }
        self.tell(end) { $0.receive(message, at: $1) }
    }

    private func open(_ generation: UInt32, of end: End) {
        guard self.hasSockets[end] == true, let port = self.nextPort[end],
            let address = try? SocketAddress(ipAddress: end == .client ? "192.0.2.1" : "198.51.100.2", port: port)
        else { return self.tell(end) { $0.socketsFailed(generation: generation, at: $1) } }
        self.nextPort[end] = port + 1
        self.sockets[address] = (end, PathBase(generation: generation, base: LocalBaseID(0)))
        let host = ICECandidate.host(address: address, base: LocalBaseID(0), interfaceIndex: 0)
        self.tell(end) { $0.socketsOpened(generation: generation, hosts: [host], at: $1) }
    }
}
