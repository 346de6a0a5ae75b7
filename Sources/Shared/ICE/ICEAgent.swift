import DequeModule
package import NIOCore
package import STUN

/// One ICE session with one component (RFC 8445), trickling (RFC 8838), with consent (RFC 7675).
///
/// A value without sockets or clock. Use: call one of the mutating methods with what happened and the time; then drain
/// `nextTransmit()` and `nextEvent()`, and arm one timer for `nextDeadline`, which calls `handleTimeout(at:)`.
///
/// Nothing that lacks proof of the password changes anything but a counter. Every queue and table is bounded by
/// `ICEConfiguration`.
package struct ICEAgent: Sendable {
    enum Phase: Hashable, Sendable {
        /// The remote credentials are unknown: we can answer, not ask.
        case waitingForPeer
        case checking(since: NIODeadline)
        /// `active` carries data.
        case connected(active: Int, Nomination)
        case failed
    }

    enum Nomination: Hashable, Sendable {
        /// Controlling: to be decided by then at the latest. Controlled: the peer's turn.
        case awaited(decideAt: NIODeadline)
        /// Controlling: our check with USE-CANDIDATE is under way on this pair.
        case requested(Int)
        case done
    }

    /// An authentic check of the peer that can't be turned into a pair yet.
    struct EarlyCheck: Sendable {
        let key: CandidatePair.Key
        let source: SocketAddress
        let priority: UInt32
        var usesCandidate: Bool
    }

    let configuration: ICEConfiguration
    let localCredentials: ICECredentials
    let hmacSHA1: HMACSHA1
    let localKey: MessageIntegrityKey
    var remoteCredentials: ICECredentials?
    var remoteKey: MessageIntegrityKey
    var tieBreaker: UInt64
    var random: any RandomNumberGenerator & Sendable

    /// May change when both sides claim the same role (RFC 8445 §7.3.1.1).
    package internal(set) var role: ICERole
    package internal(set) var localCandidates: [ICECandidate] = []
    package internal(set) var remoteCandidates: [ICECandidate] = []
    package internal(set) var counters = ICECounters()
    /// Not given up before this, whatever the configuration says.
    var patience = NIODeadline.uptimeNanoseconds(0)
    var localCandidatesAreComplete = false
    var remoteCandidatesAreComplete = false

    var phase = Phase.waitingForPeer
    var checkList: CheckList
    var transactions: [CheckTransaction] = []
    var earlyChecks: [EarlyCheck] = []
    /// The pacing timer: no new check before this.
    var nextCheckAt = NIODeadline.uptimeNanoseconds(0)
    var checksBegun = 0
    var peerReflexiveCount = 0

    let permitsRemote: @Sendable (SocketAddress) -> Bool
    private var transmits: Deque<ICETransmit> = []
    private var events: Deque<ICEEvent> = []

    /// - Parameters:
    ///   - role: controlling for the side that offers.
    ///   - local: our credentials, which the peer must learn over an authenticated channel.
    ///   - hmacSHA1: for the proofs in checks and their answers.
    ///   - tieBreaker: decides role conflicts; nil draws one.
    ///   - permitsRemote: where the peer may be looked for; candidates that are elsewhere are passed over.
    ///   - random: transaction ids and jitter; cryptographically strong outside of tests.
    package init(
        role: ICERole, local: ICECredentials, hmacSHA1: @escaping HMACSHA1, tieBreaker: UInt64? = nil,
        configuration: ICEConfiguration = ICEConfiguration(),
        permitsRemote: @escaping @Sendable (SocketAddress) -> Bool = { _ in true },
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.role = role
        self.localCredentials = local
        self.hmacSHA1 = hmacSHA1
        self.localKey = MessageIntegrityKey(Array(local.pwd.utf8), hmacSHA1: hmacSHA1)
        self.remoteKey = MessageIntegrityKey([], hmacSHA1: hmacSHA1)
        self.configuration = configuration
        self.permitsRemote = permitsRemote
        self.random = random
        self.tieBreaker = 0
        self.checkList = CheckList(limit: configuration.maximumPairs)
        self.tieBreaker = tieBreaker ?? self.random.next()
    }

    // MARK: What comes out

    /// The next datagram to send.
    package mutating func nextTransmit() -> ICETransmit? {
        self.transmits.popFirst()
    }

    /// The next event.
    package mutating func nextEvent() -> ICEEvent? {
        self.events.popFirst()
    }

    /// The pair that data goes over now; nil before the first is usable and after the failure.
    package var selectedPair: ICECandidatePair? {
        if case .connected(let active, _) = self.phase { self.checkList[active].snapshot } else { nil }
    }

    /// Whether a pair that works is looked for.
    package var isChecking: Bool {
        if case .checking = self.phase { true } else { false }
    }

    /// Whether the last event has been `failed`: nothing happens any more.
    package var hasFailed: Bool {
        self.phase == .failed
    }

    /// What was tried so far, and how it went.
    package var report: ICEReport {
        ICEReport(
            role: self.role, hasRemoteCredentials: self.remoteCredentials != nil,
            localCandidates: self.localCandidates, remoteCandidates: self.remoteCandidates,
            pairs: self.checkList.pairs.sorted { $0.priority > $1.priority }.map(\.report), counters: self.counters)
    }

    mutating func transmit(
        _ payload: ByteBuffer, on base: LocalBaseID, to destination: SocketAddress, isToStranger: Bool = false
    ) {
        guard self.transmits.count < self.configuration.maximumQueuedTransmits else {
            self.counters.transmitsDropped += 1
            return
        }
        self.transmits.append(
            ICETransmit(base: base, destination: destination, payload: payload, isToStranger: isToStranger))
    }

    mutating func emit(_ event: ICEEvent) {
        self.events.append(event)
    }

    // MARK: What goes in

    /// A datagram that looks like STUN (`STUNMessage.isSTUN`) has arrived on a socket.
    package mutating func receive(
        _ datagram: ByteBuffer, on base: LocalBaseID, from source: SocketAddress, at now: NIODeadline
    ) {
        guard self.phase != .failed else {
            return
        }
        guard let remote = TransportAddress(source), let received = try? ReceivedSTUNMessage(decoding: datagram),
            received.message.method == .binding
        else {
            self.counters.malformed += 1
            return
        }
        let key = CandidatePair.Key(base: base, remote: remote)
        switch received.message.messageClass {
        case .request:
            self.receiveRequest(received, length: datagram.readableBytes, on: key, from: source, at: now)
        case .success, .failure: self.receiveResponse(received, on: key, at: now)
        case .indication: return  // Keepalives of others; they want no answer (RFC 8445 §11).
        }
        self.advance(at: now)
    }

    /// Call at `nextDeadline`; an early or late call is harmless.
    package mutating func handleTimeout(at now: NIODeadline) {
        guard self.phase != .failed else {
            return
        }
        self.expireTransactions(at: now)
        self.keepAlive(at: now)
        self.advance(at: now)
    }

    /// Everything that follows from the state rather than from one input.
    mutating func advance(at now: NIODeadline) {
        self.decideNomination(at: now)
        self.beginNextCheck(at: now)
        self.giveUpIfHopeless(at: now)
    }

    /// When checks without success end.
    var giveUpAt: NIODeadline? {
        guard case .checking(let start) = self.phase else {
            return nil
        }
        let nothingLeft =
            self.localCandidatesAreComplete && self.remoteCandidatesAreComplete && self.checkList.allFailed
        let limit = nothingLeft ? self.configuration.hopelessTimeLimit : self.configuration.timeLimit
        return max(start + limit, self.patience)
    }

    private mutating func giveUpIfHopeless(at now: NIODeadline) {
        if let giveUpAt = self.giveUpAt, now >= giveUpAt {
            self.fail()
        }
    }

    mutating func fail() {
        self.emit(.failed(self.report))
        self.phase = .failed
        self.transactions = []
        self.earlyChecks = []
    }
}
