/// Counts what is in use of something limited.
struct Quota: Equatable, Sendable {
    /// At most this many at once.
    let limit: Int
    private(set) var used = 0

    init(limit: Int) {
        self.limit = limit
    }

    /// How many are left.
    var free: Int { self.limit - self.used }

    /// Takes one; false when all are in use.
    mutating func take() -> Bool {
        guard self.used < self.limit else { return false }
        self.used += 1
        return true
    }

    /// Gives one back.
    mutating func giveBack() {
        precondition(self.used > 0, "more was given back than taken")
        self.used -= 1
    }
}
