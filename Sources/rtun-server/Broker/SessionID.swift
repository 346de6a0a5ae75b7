/// Names one authenticated control connection inside this process; never used twice.
struct SessionID: Hashable, Sendable, CustomStringConvertible {
    /// For the log.
    let rawValue: UInt64

    init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    var description: String { "\(self.rawValue)" }
}
