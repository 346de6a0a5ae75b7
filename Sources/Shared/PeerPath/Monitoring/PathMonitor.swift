import NIOCore
import STUN

/// Watches one direct path: whether it carries full-size datagrams in both directions, how large they may be, and whether
/// it still does.
///
/// Datagram packetization layer path MTU discovery (RFC 8899) with padded connectivity checks as probes, whose answers are
/// as large as they are. A path is confirmed when a datagram of `base` bytes has come back: one small answer proves little,
/// as there are paths that carry connectivity checks and nothing else. After that a search finds the largest size, and a
/// probe every few seconds sees to it that the path still carries it (RFC 8899 §4.3); when it does not, a few more in
/// quick succession decide whether the path has died or has come to carry less.
///
/// A value without sockets or clock: call a mutating method; then send what `nextProbe()` wants, tell by `sent` or
/// `refused` how that went, drain `nextEvent()`, and call `handleTimeout(at:)` at `nextDeadline`.
///
/// Of its sixteen stored variables three are what it is made with, and four what it has found out.
struct PathMonitor {
    struct Configuration: Hashable, Sendable {
        /// What every path must carry, in bytes of UDP payload (QUIC's least, RFC 9000 §14).
        var base = 1200
        /// How close the search comes to the true limit, in bytes.
        var precision = 8
        /// Between the probes of a path at rest. Each is drawn from ±20 % of it.
        var interval = TimeAmount.seconds(4)
        /// How long an answer is waited for: this many round trips, within these bounds.
        var answerRoundTrips: Int64 = 3
        var answerTime = TimeAmount.milliseconds(400)...TimeAmount.seconds(1)
        /// So many tries without any answer, and the path is dead.
        var silentTries = 5
        /// So many tries in vain to confirm a path, and it is tried as rarely as one at rest is.
        var hopelessTries = 30
        /// So many probes of one size are lost before the path does not carry that size (RFC 8899 §5.1.2: MAX_PROBES).
        var probesPerSize = 3
        /// How often a path that carries less than the largest size is tried for more (RFC 8899: PMTU_RAISE_TIMER).
        var raiseInterval = TimeAmount.seconds(60)
        /// Between the tries of a path that has died or does not carry the base size.
        var recoveryInterval = TimeAmount.seconds(1)
    }

    enum Loss: Hashable, Sendable {
        /// Nothing is answered any more.
        case silent
        /// Small datagrams get through, those of the base size don't.
        case carriesOnlySmallDatagrams
    }

    enum Event: Hashable, Sendable {
        /// The path may be used, for datagrams of up to `limit` bytes.
        case confirmed
        /// `limit` has changed.
        case limitChanged
        /// The path is of no use for now; `confirmed` follows if it comes back.
        case lost(Loss)
        /// Not confirmed so far: small datagrams get through, those of the base size don't. Another path may do better.
        case carriesTooLittle
    }

    /// Names a probe: the one that sends them says which.
    typealias ProbeID = TransactionID

    private enum Phase: Hashable {
        /// Not known to carry the base size. `smallAnswers`: so many probes without padding were answered.
        case confirming(tries: Int, smallAnswers: Int)
        /// Looks for the largest size: `low` gets through, `high` may.
        case searching(low: Int, high: Int, tries: Int)
        /// All is well until the next probe.
        case resting
        /// A probe is on its way, or the last ones were not answered. `smallAnswers`: so many without padding were.
        case doubting(tries: Int, smallAnswers: Int, wantsFullSize: Bool)
    }

    private let configuration: Configuration
    /// Whether the peer answers padded checks in kind. Otherwise the path is taken to carry `ceiling`.
    private let usesPadding: Bool
    private var random: any RandomNumberGenerator & Sendable
    private var phase: Phase
    private var deadline: NIODeadline
    private var nextRaise: NIODeadline
    private var outstanding: [(id: ProbeID, size: Int)] = []
    private var toSend: [Int] = []
    private var events: [Event] = []
    private var hasTraffic = false
    /// Whether `carriesTooLittle` has been said since the path was confirmed last.
    private var hasComplained = false
    /// Times in a row that a probe was waited for in vain.
    private var silentRounds = 0

    /// Whether the path may be used.
    private(set) var isConfirmed = false
    /// The largest datagram that the path is known to carry, in bytes of UDP payload.
    private(set) var limit: Int
    /// No size above this is tried: what the first hop carries.
    private(set) var ceiling: Int
    /// Of the last probe that was answered.
    private(set) var roundTripTime: TimeAmount?

    /// - Parameters:
    ///   - ceiling: the largest size to try, in bytes of UDP payload.
    ///   - usesPadding: whether the peer answers padded checks with padded answers.
    ///   - roundTripTime: if known.
    init(
        ceiling: Int, usesPadding: Bool, roundTripTime: TimeAmount?, at now: NIODeadline,
        configuration: Configuration = Configuration(),
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.configuration = configuration
        self.usesPadding = usesPadding
        self.random = random
        self.ceiling = ceiling & ~3
        self.roundTripTime = roundTripTime
        self.limit = usesPadding ? min(configuration.base, ceiling & ~3) : ceiling
        self.phase = .confirming(tries: 0, smallAnswers: 0)
        self.deadline = now
        self.nextRaise = now + configuration.raiseInterval
        if usesPadding {
            self.beginRound(at: now)
        } else {
            self.confirm(self.ceiling, at: now)
        }
    }

    // MARK: What comes out

    /// The size of a probe to send now, 0 for one without padding; nil when there is none.
    mutating func nextProbe() -> Int? {
        self.toSend.isEmpty ? nil : self.toSend.removeFirst()
    }

    mutating func nextEvent() -> Event? {
        self.events.isEmpty ? nil : self.events.removeFirst()
    }

    var nextDeadline: NIODeadline { self.deadline }

    // MARK: What goes in

    /// A probe has been sent under this id.
    mutating func sent(_ id: ProbeID, size: Int) {
        // Answers to earlier rounds still count, within reason.
        if self.outstanding.count >= 64 { self.outstanding.removeFirst(32) }
        self.outstanding.append((id, size))
    }

    /// The answer to a probe has come.
    ///
    /// - Parameter hasPadding: whether it was as large as the probe.
    /// - Returns: whether the probe was one of these.
    @discardableResult
    mutating func answered(_ id: ProbeID, hasPadding: Bool, roundTripTime: TimeAmount, at now: NIODeadline) -> Bool {
        guard let position = self.outstanding.firstIndex(where: { $0.id == id }) else { return false }
        let sent = self.outstanding.remove(at: position)
        self.roundTripTime = roundTripTime
        self.silentRounds = 0
        // A large probe that is answered in short shows one direction only: no more than a small one does.
        self.succeeded(hasPadding ? sent.size : 0, at: now)
        return true
    }

    /// Datagrams of the protocol above come or go: the path is in use, and worth probes of full size.
    mutating func trafficSeen() { self.hasTraffic = true }

    /// Somebody has reason to think that the path is dead.
    mutating func suspect(at now: NIODeadline) {
        guard case .resting = self.phase else { return }
        self.doubt(tries: 0, at: now)
    }

    /// The first hop has been found to carry more or less than before.
    mutating func setCeiling(_ ceiling: Int, at now: NIODeadline) {
        let ceiling = max(ceiling, 0) & ~3
        guard ceiling != self.ceiling else { return }
        let isLess = ceiling < self.ceiling
        self.ceiling = ceiling
        guard self.usesPadding else { return self.setLimit(ceiling) }
        if self.isConfirmed, ceiling < self.configuration.base { return self.lose(.carriesOnlySmallDatagrams, at: now) }
        if ceiling < self.limit { self.setLimit(ceiling) }
        if !isLess { self.nextRaise = now }
        switch self.phase {
        case .resting where !isLess: self.search(from: self.limit, at: now)
        case .searching(let low, _, _): self.search(from: min(low, ceiling), at: now)
        case .resting, .confirming, .doubting: break
        }
    }

    /// An early or late call is harmless.
    mutating func handleTimeout(at now: NIODeadline) {
        guard now >= self.deadline else { return }
        if self.phase != .resting { self.silentRounds += 1 }
        switch self.phase {
        case .confirming(let tries, let smallAnswers):
            let isHopeless =
                tries >= 2 * self.configuration.probesPerSize && smallAnswers >= self.configuration.probesPerSize
            if isHopeless, !self.hasComplained {
                self.hasComplained = true
                self.events.append(.carriesTooLittle)
            }
            self.phase = .confirming(tries: tries + 1, smallAnswers: smallAnswers)
            self.beginRound(at: now)
        case .searching where self.silentRounds >= self.configuration.probesPerSize:
            // Even the small probes are lost.
            self.doubt(tries: self.silentRounds, at: now)
        case .searching(let low, let high, let tries):
            self.searchTimedOut(low: low, high: high, tries: tries + 1, at: now)
        case .resting:
            if self.usesPadding, self.limit < self.ceiling, now >= self.nextRaise {
                self.search(from: self.limit, at: now)
            } else {
                self.doubt(tries: 0, at: now)
            }
        case .doubting(let tries, let smallAnswers, _):
            self.doubtTimedOut(tries: tries + 1, smallAnswers: smallAnswers, at: now)
        }
    }

    // MARK: Rounds

    /// How long to wait for an answer.
    private var answerTime: TimeAmount {
        let bounds = self.configuration.answerTime
        let wanted = self.roundTripTime.map { $0 * self.configuration.answerRoundTrips } ?? bounds.upperBound
        return min(max(wanted, bounds.lowerBound), bounds.upperBound)
    }

    /// Sends what the phase asks for.
    private mutating func beginRound(at now: NIODeadline) {
        var wait = self.answerTime
        switch self.phase {
        case .confirming(let tries, _):
            self.toSend =
                self.ceiling > self.configuration.base ? [self.ceiling, self.configuration.base] : [self.ceiling]
            if tries >= self.configuration.probesPerSize { self.toSend.append(0) }
            if tries >= self.configuration.hopelessTries {
                wait = self.configuration.interval
            } else if tries >= self.configuration.silentTries {
                wait = self.configuration.recoveryInterval
            }
        case .searching(let low, let high, _):
            self.toSend = [self.searchSize(low: low, high: high), 0]
        case .resting:
            self.toSend = []
            let percent = Int64.random(in: 80...120, using: &self.random)
            wait = .nanoseconds(self.configuration.interval.nanoseconds / 100 * percent)
        case .doubting(let tries, _, let wantsFullSize):
            self.toSend = !wantsFullSize ? [0] : tries == 0 ? [self.limit] : [self.limit, 0]
        }
        self.deadline = now + wait
    }

    private mutating func rest(at now: NIODeadline) {
        self.phase = .resting
        self.beginRound(at: now)
    }

    private mutating func succeeded(_ size: Int, at now: NIODeadline) {
        switch self.phase {
        case .confirming(let tries, let smallAnswers):
            if !self.usesPadding || size >= self.configuration.base {
                self.confirm(size, at: now)
            } else {
                self.phase = .confirming(tries: tries, smallAnswers: smallAnswers + 1)
            }
        case .searching(let low, let high, _):
            guard size > low else { return }
            self.setLimit(max(self.limit, size))
            self.phase = .searching(low: size, high: high, tries: 0)
            self.continueSearch(at: now)
        case .resting:
            // Late, but larger than was believed.
            if size > self.limit, size <= self.ceiling { self.setLimit(size) }
        case .doubting(let tries, let smallAnswers, let wantsFullSize):
            if size >= self.limit || !wantsFullSize {
                self.rest(at: now)
            } else {
                self.phase = .doubting(tries: tries, smallAnswers: smallAnswers + 1, wantsFullSize: true)
            }
        }
    }

    private mutating func confirm(_ size: Int, at now: NIODeadline) {
        let limit = min(self.usesPadding ? size : self.ceiling, self.ceiling)
        if self.isConfirmed {
            self.setLimit(limit)
        } else {
            self.isConfirmed = true
            self.hasComplained = false
            self.limit = limit
            self.events.append(.confirmed)
        }
        if limit < self.ceiling {
            // The probe of the largest size may still be answered; the search begins with it in any case.
            self.search(from: limit, at: now)
        } else {
            self.rest(at: now)
        }
    }

    private mutating func setLimit(_ limit: Int) {
        guard limit != self.limit else { return }
        self.limit = limit
        if self.isConfirmed { self.events.append(.limitChanged) }
    }

    // MARK: The search

    private mutating func search(from low: Int, at now: NIODeadline) {
        self.nextRaise = now + self.configuration.raiseInterval
        self.phase = .searching(low: low, high: self.ceiling, tries: 0)
        self.continueSearch(at: now)
    }

    private mutating func continueSearch(at now: NIODeadline) {
        guard case .searching(let low, let high, _) = self.phase, high - low >= self.configuration.precision else {
            return self.rest(at: now)
        }
        self.beginRound(at: now)
    }

    /// The largest size first: most paths carry it. Then halves of what is left.
    private func searchSize(low: Int, high: Int) -> Int {
        high == self.ceiling ? high : ((low + high) / 2) & ~3
    }

    private mutating func searchTimedOut(low: Int, high: Int, tries: Int, at now: NIODeadline) {
        guard tries >= self.configuration.probesPerSize else {
            self.phase = .searching(low: low, high: high, tries: tries)
            return self.beginRound(at: now)
        }
        let failed = self.searchSize(low: low, high: high)
        self.phase = .searching(low: low, high: failed - 4, tries: 0)
        self.continueSearch(at: now)
    }

    // MARK: Doubts

    private mutating func doubt(tries: Int, at now: NIODeadline) {
        // A path at rest is asked in few words; one that carries data, in as many as that has.
        self.phase = .doubting(
            tries: tries, smallAnswers: 0, wantsFullSize: self.usesPadding && (self.hasTraffic || tries > 0))
        self.hasTraffic = false
        self.beginRound(at: now)
    }

    private mutating func doubtTimedOut(tries: Int, smallAnswers: Int, at now: NIODeadline) {
        if smallAnswers >= self.configuration.probesPerSize {
            return self.carriesLess(at: now)
        }
        guard tries < self.configuration.silentTries + smallAnswers else {
            return self.lose(.silent, at: now)
        }
        self.phase = .doubting(tries: tries, smallAnswers: smallAnswers, wantsFullSize: self.usesPadding)
        self.beginRound(at: now)
    }

    /// Small probes are answered, those of the limit's size are not: a black hole (RFC 8899 §4.3).
    private mutating func carriesLess(at now: NIODeadline) {
        guard self.limit > self.configuration.base else {
            return self.lose(.carriesOnlySmallDatagrams, at: now)
        }
        let failed = self.limit
        self.setLimit(self.configuration.base)
        // Whether it carries the base size is for the next doubt to find out, should that be answered no more either.
        self.nextRaise = now + self.configuration.raiseInterval
        self.phase = .searching(low: self.configuration.base, high: failed - 4, tries: 0)
        self.hasTraffic = true
        self.continueSearch(at: now)
    }

    private mutating func lose(_ loss: Loss, at now: NIODeadline) {
        self.isConfirmed = false
        self.limit = min(self.configuration.base, self.ceiling)
        self.events.append(.lost(loss))
        self.silentRounds = 0
        self.phase = .confirming(tries: self.configuration.silentTries, smallAnswers: 0)
        self.beginRound(at: now)
    }
}
