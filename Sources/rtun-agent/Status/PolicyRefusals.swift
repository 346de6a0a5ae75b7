import NIOCore

/// What the egress policy has refused lately: targets, each with how often and when last. A value without a clock.
struct PolicyRefusals: Sendable {
    struct Refusal: Equatable, Sendable {
        let target: String
        var count: UInt64
        var last: NIODeadline
    }

    /// Targets remembered: the latest.
    static let capacity = 20

    /// The latest first.
    private(set) var latest: [Refusal] = []

    mutating func refused(_ target: String, at now: NIODeadline) {
        var refusal = Refusal(target: target, count: 0, last: now)
        if let index = self.latest.firstIndex(where: { $0.target == target }) {
            refusal = self.latest.remove(at: index)
        }
        refusal.count += 1
        refusal.last = now
        self.latest.insert(refusal, at: 0)
        if self.latest.count > Self.capacity { self.latest.removeLast() }
    }
}
