/// The largest payload that a rule passes on: what was asked for, as far as the path to the agent carries it.
struct PayloadLimit {
    /// `Int.max` when nothing was asked for.
    private let asked: Int
    /// What was last told of as being less than was asked for.
    private var told: Int?

    /// `asked`: nil when the path alone decides.
    init(asked: UInt16?) { self.asked = asked.map(Int.init) ?? .max }

    /// What may pass while the path carries `limit` bytes.
    func payload(on limit: Int) -> Int { min(limit, self.asked) }

    /// The path carries `limit` bytes. Returns what was asked for if that is more, which is news.
    mutating func isCut(to limit: Int) -> Int? {
        guard self.asked != .max, limit < self.asked else {
            self.told = nil
            return nil
        }
        guard self.told != limit else { return nil }
        self.told = limit
        return self.asked
    }
}
