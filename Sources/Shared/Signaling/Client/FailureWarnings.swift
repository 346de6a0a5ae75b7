import NIOCore

/// Which failed attempts are worth a person's attention: the first of its kind since the last connection, and one a minute
/// later. The rest says nothing new.
struct FailureWarnings {
    private static let interval = TimeAmount.seconds(60)
    private var warnedAt: [String: NIODeadline] = [:]

    /// Whether to warn of a failure for this cause.
    mutating func isNews(_ cause: String, at now: NIODeadline) -> Bool {
        if let last = self.warnedAt[cause], last > now - Self.interval { return false }
        self.warnedAt[cause] = now
        return true
    }
}
