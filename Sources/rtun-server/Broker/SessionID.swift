/// Names one authenticated control connection inside this process; never used twice.
struct SessionID: Hashable, Sendable, CustomStringConvertible {
    /// For the log.
    let rawValue: UInt64

    init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The name that agents see, counted from `first`; never 0.
    func stamp(from first: UInt64) -> UInt64 {
        max(1, first &+ self.rawValue)
    }

    var description: String { "\(self.rawValue)" }
}
