import Basics
import DequeModule
import ICE
import NIOCore
import STUN

/// The search for a direct path, and the watch over what it has found: gathering, one ICE session, and monitors of the pairs
/// that are in use or about to be. A value without sockets or clock: call a mutating method, drain `nextOutput()`, and call
/// `handleTimeout(at:)` at `nextDeadline`.
///
/// An ICE restart (RFC 8445 §9) is a new one of these, with sockets of its own, beside the old one.
struct PathSession {
    enum Output {
        case transmit(ByteBuffer, segmentSize: Int?, base: LocalBaseID, to: SocketAddress)
        /// A candidate beyond those that were there at the start.
        case gathered(ICECandidate)
        /// No more candidates will come; how our NAT maps, as far as that is known.
        case gatheringEnded(MappingBehavior)
        /// `selection` has changed.
        case pathsChanged(PathChangeReason)
        /// A socket for a spread is wanted: `spreadSocketOpened` or nothing follows.
        case openSocket
        /// A socket of a spread is not needed any more.
        case closeSocket(LocalBaseID)
        case note(PathNote)
        /// There is no direct path, or none any more; what was tried. The last output.
        case failed(ICEReport)
    }

    /// Between two looks at what the kernel knows of the way to the peer.
    private static let ceilingLookupInterval = TimeAmount.milliseconds(50)
    /// A timer that is so late has waited for the process, not for the network.
    private static let standstill = TimeAmount.seconds(3)

    /// Counts the ICE sessions of a channel, the first is 0.
    let generation: UInt32
    /// What the peer must know of us.
    let localCredentials: ICECredentials
    let configuration: PathConfiguration
    let hosts: [ICECandidate]
    /// Whether the peer answers padded checks; known with its offer or answer.
    private(set) var peerAnswersPadding = false
    var selection = PathSelection()
    var agent: ICEAgent
    var gathering: STUNGathering
    var spread: SpreadRun?
    /// What the peer says of its NAT, and how many sockets it agrees to.
    var peer: (mapping: MappingBehavior, spread: Int)?
    /// How our NAT maps, as far as that is known; nil until gathering has ended.
    private(set) var mapping: MappingBehavior?
    private let checkBudget = CheckBudget.ofSession()
    /// With whom what the process may send is shared.
    var owner: ObjectIdentifier { self.configuration.resources.owner ?? ObjectIdentifier(self.checkBudget) }
    private var nextCeilingLookup = NIODeadline.uptimeNanoseconds(0)
    private var outputs: Deque<Output> = []

    /// - Parameter hosts: every host candidate of every socket, with the socket's port.
    init(
        generation: UInt32, hosts: [ICECandidate], role: ICERole, configuration: PathConfiguration, at now: NIODeadline
    ) {
        self.generation = generation
        self.localCredentials = .random()
        self.configuration = configuration
        self.hosts = hosts
        var ice = configuration.ice
        ice.timeLimit = configuration.pathTimeout
        self.agent = ICEAgent(
            role: role, local: self.localCredentials, hmacSHA1: configuration.hmacSHA1, configuration: ice,
            permitsRemote: configuration.permitsCandidate)
        self.gathering = STUNGathering(hosts: hosts)
        for host in hosts { self.agent.addLocalCandidate(host, at: now) }
    }

    /// What an offer, an answer or a restart says of it.
    var description: PathDescription {
        PathDescription(
            generation: self.generation, credentials: self.localCredentials, candidates: self.agent.localCandidates)
    }

    /// Whether a pair that works is looked for.
    var isSearching: Bool { self.agent.isChecking }
    /// What was tried so far.
    var report: ICEReport { self.agent.report }
    /// The path that is known to work.
    var confirmed: DirectPath? { self.selection.active.flatMap { $0.standing == .confirmed ? $0 : nil } }

    // MARK: What comes out

    mutating func nextOutput() -> Output? { self.outputs.popFirst() }

    mutating func put(_ output: Output) { self.outputs.append(output) }

    var nextDeadline: NIODeadline? {
        [
            self.agent.nextDeadline, self.gathering.nextDeadline, self.selection.active?.nextDeadline,
            self.selection.contender?.nextDeadline, self.spread?.nextDeadline,
        ].compactMap { $0 }.min()
    }

    // MARK: What goes in

    /// STUN servers are asked for reflexive candidates (RFC 8445 §5.1.1.2): `unresolved` lists of addresses follow,
    /// through `resolved`. Call once.
    mutating func gather(unresolved: Int, at now: NIODeadline) {
        self.gathering.start(unresolved: unresolved, at: now)
        self.advance(at: now)
    }

    /// One of these lists; empty when a name has no address.
    mutating func resolved(_ servers: [SocketAddress], at now: NIODeadline) {
        self.gathering.resolved(servers, at: now)
        self.advance(at: now)
    }

    /// What the peer has said of itself: checks begin.
    mutating func start(_ peer: PathDescription, answersPadding: Bool, at now: NIODeadline) {
        self.peerAnswersPadding = answersPadding
        for candidate in peer.candidates { self.agent.addRemoteCandidate(candidate, at: now) }
        self.agent.setRemote(credentials: peer.credentials, at: now)
        self.advance(at: now)
    }

    /// One more address of the peer.
    mutating func addRemote(_ candidate: ICECandidate, at now: NIODeadline) {
        self.agent.addRemoteCandidate(candidate, at: now)
        self.advance(at: now)
    }

    /// The peer has no more addresses, and says of its NAT how it maps, and how many sockets it agrees to.
    mutating func remoteCandidatesEnded(_ mapping: MappingBehavior, spread: Int, at now: NIODeadline) {
        self.peer = (mapping, spread)
        self.considerSpread(at: now)
        self.agent.remoteCandidatesEnded(at: now)
        self.advance(at: now)
    }

    /// A STUN message has arrived.
    mutating func receive(_ message: ByteBuffer, on base: LocalBaseID, from source: SocketAddress, at now: NIODeadline)
    {
        guard self.takesChecks(message, on: base, at: now) else { return }
        if !self.gathering.receive(message, on: base, from: source, at: now) {
            self.agent.receive(message, on: base, from: source, at: now)
        }
        self.advance(at: now)
    }

    /// Whether a datagram of the protocol above is the peer's: only who has proved by STUN to be it gets the attention of the
    /// cryptography above.
    func isPeer(_ source: SocketAddress, on base: LocalBaseID) -> Bool {
        if let pair = self.selection.active?.pair, pair.base == base, pair.remoteAddress == source { return true }
        return self.agent.hasHeardPeer(at: source, on: base)
    }

    /// So many datagrams of the protocol above are sent at once by the active path. Returns whether they may leave in one send:
    /// several that do are known to arrive.
    mutating func sends(_ datagrams: Int, at now: NIODeadline) -> Bool {
        self.selection.active?.monitor.trafficSeen()
        guard datagrams > 1 else { return true }
        return self.selection.active?.segmentation.allows(segments: datagrams, at: now) ?? false
    }

    /// Whether `sends` has found that something is to be sent beside: `advance` does that.
    var wantsBurst: Bool { self.selection.active?.segmentation.isDue ?? false }

    /// Somebody has reason to think that the path is dead.
    mutating func suspect(at now: NIODeadline) {
        guard self.confirmed != nil else { return }
        self.selection.active?.monitor.suspect(at: now)
        self.selection.active?.segmentation.suspect()
        self.advance(at: now)
    }

    /// A datagram did not leave this machine.
    mutating func sendFailed(_ error: any Error, on base: LocalBaseID, to remote: SocketAddress, at now: NIODeadline) {
        self.gathering.sendFailed(on: base, to: remote)
        self.agent.sendFailed(on: base, to: remote, error: error, at: now)
        self.advance(at: now)
    }

    /// Looks up what the kernel knows of the way to the peer, unless it has done so a moment ago: whoever sends a burst of
    /// datagrams that are too large asks for each of them.
    mutating func updateCeiling(at now: NIODeadline) {
        guard let pair = self.selection.active?.pair, now >= self.nextCeilingLookup else { return }
        self.nextCeilingLookup = now + Self.ceilingLookupInterval
        guard let ceiling = self.ceiling(of: pair) else { return }
        self.selection.active?.monitor.setCeiling(ceiling, at: now)
        self.advance(at: now)
    }

    /// An early call is harmless.
    mutating func handleTimeout(at now: NIODeadline) {
        if let deadline = self.nextDeadline, now - deadline > Self.standstill { self.agent.resume(at: now) }
        self.gathering.handleTimeout(at: now)
        self.agent.handleTimeout(at: now)
        self.selection.active?.handleTimeout(at: now)
        self.selection.contender?.handleTimeout(at: now)
        self.continueSpread(at: now)
        self.advance(at: now)
    }

    /// The largest datagram that leaves this machine whole, and that any channel uses; nil without a route.
    func ceiling(of pair: ICECandidatePair) -> Int? {
        self.configuration.ceiling(PathBase(generation: self.generation, base: pair.base), pair.remoteAddress)
            .map { min($0, SelectedPath.largestDatagram) }
    }

    // MARK: What follows

    /// Does everything that the last change asks for.
    mutating func advance(at now: NIODeadline) {
        self.drainGathering(at: now)
        var isBusy = true
        while isBusy {
            isBusy = false
            self.drainTransmits(at: now)
            while let event = self.agent.nextEvent() {
                self.handle(event, at: now)
                isBusy = true
            }
            for place in PathSelection.Place.allCases {
                isBusy = self.drainMonitor(of: place, at: now) || isBusy
            }
        }
    }

    private mutating func drainGathering(at now: NIODeadline) {
        while let output = self.gathering.next() {
            switch output {
            case .send(let request, let base, let server):
                self.put(.transmit(request, segmentSize: nil, base: base, to: server))
            case .candidate(let candidate):
                if self.agent.addLocalCandidate(candidate, at: now) { self.put(.gathered(candidate)) }
            case .failed(let server, let error):
                self.put(.note(.serverDoesNotHelp(server, error)))
            case .ended(let mapping):
                self.mapping = mapping
                self.considerSpread(at: now)
                self.agent.localCandidatesEnded(at: now)
                self.put(.gatheringEnded(mapping))
            }
        }
    }

    mutating func drainTransmits(at now: NIODeadline) {
        while let transmit = self.agent.nextTransmit() {
            // Who made up an address that has not answered decides where that leads.
            if transmit.isToStranger {
                guard self.checkBudget.take(at: now),
                    self.configuration.resources.checks.take(for: self.owner, at: now)
                else { continue }
            }
            self.put(.transmit(transmit.payload, segmentSize: nil, base: transmit.base, to: transmit.destination))
        }
    }
}
