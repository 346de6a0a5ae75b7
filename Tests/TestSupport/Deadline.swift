/// Thrown when something a test waits for does not happen in time.
package struct TimedOut: Error, CustomStringConvertible {
    /// What was waited for.
    package let what: String
    /// How long.
    package let limit: Duration

    package var description: String { "\(self.what) did not happen within \(self.limit)" }
}

/// Runs `body`, cancelling it and throwing ``TimedOut`` when it takes longer than `limit`.
package func within<Value: Sendable>(
    _ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await ContinuousClock().sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let value = first else { throw TimedOut(what: what, limit: limit) }
        return value
    }
}

/// Asks `condition` every 20 ms until it holds; for what can only be looked at (the size of a process, an HTTP answer).
package func eventually(
    within limit: Duration, _ what: String, _ condition: @escaping @Sendable () async throws -> Bool
) async throws {
    try await within(limit, what) {
        while try await !condition() { try await ContinuousClock().sleep(for: .milliseconds(20)) }
    }
}
