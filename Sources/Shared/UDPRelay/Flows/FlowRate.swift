package import NIOCore

/// How fast flows may be opened: a token bucket.
///
/// A rule whose target leads back to itself makes each flow open the next one, as fast as the machine goes: a datagram that
/// goes round is dropped when the tokens run out, which ends that.
package struct FlowRate: Sendable {
    /// Flows a second, in the long run.
    package static let perSecond: Int64 = 5500
    /// As many at once, after a pause.
    private static let burst: Int64 = 1500
    private static let interval = TimeAmount.nanoseconds(1_000_000_000 / perSecond)

    /// When there will be all tokens again.
    private var fullAt = NIODeadline.uptimeNanoseconds(0)

    package init() {}

    /// Takes a token for one flow; false when there is none.
    package mutating func take(at now: NIODeadline) -> Bool {
        let fullAt = max(self.fullAt, now) + Self.interval
        guard fullAt <= now + Self.interval * Self.burst else { return false }
        self.fullAt = fullAt
        return true
    }
}
