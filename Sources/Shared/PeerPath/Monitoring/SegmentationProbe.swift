import NIOCore
import STUN

/// Finds out whether several datagrams that leave in one send, which the kernel or a device splits (UDP GSO), arrive on a
/// direct path.
///
/// There are devices that swallow such sends whole. Datagram protocols lose every burst then, and QUIC crawls along on what
/// it happens to send singly. So nothing leaves together before a burst of padded connectivity checks has been answered; and
/// every now and then, while there are batches, another burst is sent beside a check by itself. When only the latter is
/// answered, three times in a row, datagrams leave one by one for as long as the path lives.
///
/// A value without sockets or clock: ask ``allows(segments:at:)`` before each batch, send what ``nextBurst()`` wants and
/// tell of it by ``sent(_:roundTripTime:at:)``, and call ``handleTimeout(at:)`` at ``nextDeadline``.
struct SegmentationProbe {
    struct Configuration: Hashable, Sendable {
        /// Most segments of a burst: enough to be more than any frame of Ethernet, jumbo frames included.
        var maximumSegments = 8
        /// Between two bursts on a path on which they arrive.
        var interval = TimeAmount.seconds(10)
        /// How long answers are waited for: so many round trips, and at least so long.
        var answerRoundTrips: Int64 = 3
        var answerTime = TimeAmount.seconds(1)
        /// So many bursts in a row that are lost while a check beside them is answered.
        var maximumFailures = 3
    }

    private struct Round {
        let deadline: NIODeadline
        let burst: [TransactionID]
        let single: TransactionID
        var isSingleAnswered = false
    }

    private enum State {
        /// A burst follows the next batch.
        case unasked
        /// A burst is to be sent.
        case due
        case asking(Round)
        /// There is no need to ask; the next burst follows the first batch after `until`.
        case resting(until: NIODeadline)
        case ruledOut
    }

    private let configuration: Configuration
    private var state = State.unasked
    private var failures = 0
    /// Whether the last burst arrived that there is an answer about.
    private var isTrusted = false
    /// The largest batch that was to be sent since the last burst.
    private var wantedSegments = 0

    init(configuration: Configuration = Configuration()) { self.configuration = configuration }

    /// Whether datagrams leave one by one for good.
    var isRuledOut: Bool { if case .ruledOut = self.state { true } else { false } }
    /// Whether there is a burst to be sent.
    var isDue: Bool { if case .due = self.state { true } else { false } }

    /// A batch of so many datagrams is to be sent: whether it may leave in one send.
    mutating func allows(segments: Int, at now: NIODeadline) -> Bool {
        self.wantedSegments = max(self.wantedSegments, segments)
        switch self.state {
        case .unasked: self.state = .due
        case .resting(let until) where now >= until: self.state = .due
        case .due, .asking, .resting: break
        case .ruledOut: return false
        }
        return self.isTrusted
    }

    /// There is reason to doubt that anything gets through.
    mutating func suspect() {
        if case .resting = self.state { self.state = .due }
    }

    /// How many segments the burst has that is to be sent now; nil without one.
    func nextBurst() -> Int? {
        guard self.isDue else { return nil }
        return min(max(self.wantedSegments, 2), self.configuration.maximumSegments)
    }

    /// A burst of these checks has been sent, and one beside it. Nil when that was not possible: bursts are not asked about
    /// for a while.
    mutating func sent(
        _ checks: (burst: [TransactionID], single: TransactionID)?, roundTripTime: TimeAmount?, at now: NIODeadline
    ) {
        self.wantedSegments = 0
        guard let checks else {
            self.state = .resting(until: now + self.configuration.interval)
            return
        }
        self.state = .asking(
            Round(
                deadline: now
                    + max((roundTripTime ?? .zero) * self.configuration.answerRoundTrips, self.configuration.answerTime),
                burst: checks.burst, single: checks.single))
    }

    /// A check was answered, perhaps one of these.
    mutating func answered(_ id: TransactionID, at now: NIODeadline) {
        guard case .asking(var round) = self.state else { return }
        if round.burst.contains(id) {
            self.failures = 0
            self.isTrusted = true
            self.state = .resting(until: now + self.configuration.interval)
        } else if id == round.single {
            round.isSingleAnswered = true
            self.state = .asking(round)
        }
    }

    /// An early call is harmless.
    mutating func handleTimeout(at now: NIODeadline) {
        guard case .asking(let round) = self.state, now >= round.deadline else { return }
        guard round.isSingleAnswered else {
            // That says nothing of bursts; and a path that answers so little is not asked again at once.
            self.state = .resting(until: now + self.configuration.interval)
            return
        }
        self.isTrusted = false
        self.failures += 1
        // The next one follows the next batch.
        self.state = self.failures >= self.configuration.maximumFailures ? .ruledOut : .unasked
    }

    var nextDeadline: NIODeadline? {
        if case .asking(let round) = self.state { round.deadline } else { nil }
    }
}
