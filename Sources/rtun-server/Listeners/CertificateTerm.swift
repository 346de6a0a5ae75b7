import Basics
import NIOCore

/// How long a certificate is good for still, and when a person should hear of it: at once, and daily. A value without a clock.
struct CertificateTerm {
    /// From this time on before the end it is worth a warning.
    static let warningTime: Int64 = 14 * secondsPerDay
    static let secondsPerDay: Int64 = 86_400

    /// What there is to tell.
    enum Notice: Hashable, Sendable {
        case endsSoon
        case hasEnded
    }

    /// When it ends, in seconds since 1970.
    let end: Int64
    private var trouble = Trouble<Notice>(interval: .hours(24))

    init(end: Int64) { self.end = end }

    /// - Parameters:
    ///   - time: by the wall clock, in seconds since 1970.
    ///   - now: by the clock that nobody sets.
    mutating func look(at time: Int64, now: NIODeadline) -> Notice? {
        let left = self.left(at: time)
        guard left < Self.warningTime else {
            // The clock was wrong.
            _ = self.trouble.ended(at: now)
            return nil
        }
        let notice = left <= 0 ? Notice.hasEnded : .endsSoon
        return self.trouble.occurred(notice, at: now).map { _ in notice }
    }

    /// Seconds that are left, below 0 when it has ended.
    func left(at time: Int64) -> Int64 {
        let (left, overflow) = self.end.subtractingReportingOverflow(time)
        return overflow ? (self.end < time ? .min : .max) : left
    }

    /// `the certificate ends in 9 days`, `the certificate has expired 2 h ago`.
    func words(for notice: Notice, at time: Int64) -> String {
        let left = self.left(at: time)
        let length = TimeAmount.seconds(Int64(clamping: min(left.magnitude, 1_000_000_000)))
        return switch notice {
        case .endsSoon: "the certificate ends in \(length.words)"
        case .hasEnded: "the certificate has expired \(length.words) ago: who checks it does not connect"
        }
    }
}
