import Basics
import CommandSupport
import NIOCore

/// Which refusals of clients are told: the first of a key for a reason at once, and again every minute with their number; of
/// all keys together so many in ten seconds. A value without a clock.
struct RefusalNotices {
    private struct Kind: Hashable {
        let reason: PeerRefusal.Reason
        let key: CertificateFingerprint?
    }

    private static let interval = TimeAmount.minutes(1)
    /// Keys can be made up: no more are told apart.
    private static let maximumKinds = 256
    /// Lines in `window`, whatever the keys.
    private static let maximumLines = 20
    private static let window = TimeAmount.seconds(10)

    private var limiters: [Kind: LogRateLimiter] = [:]
    private var lines = 0
    private var windowEnd: NIODeadline?

    /// An offer of `key` was refused. Returns how many to tell of, this one included; nil: none now.
    mutating func occurred(_ reason: PeerRefusal.Reason, of key: CertificateFingerprint?, at now: NIODeadline) -> Int? {
        if self.windowEnd.map({ now >= $0 }) ?? true {
            self.windowEnd = now + Self.window
            self.lines = 0
        }
        guard self.lines < Self.maximumLines else { return nil }
        let kind = Kind(reason: reason, key: key)
        if self.limiters.count >= Self.maximumKinds, self.limiters[kind] == nil { self.limiters = [:] }
        let count = self.limiters[kind, default: LogRateLimiter(interval: Self.interval)].occurrences(at: now)
        if count != nil { self.lines += 1 }
        return count
    }
}
