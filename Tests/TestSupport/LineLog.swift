import Synchronization

/// The lines a program has written to one of its streams, in order, with a way to wait for one.
package final class LineLog: Sendable {
    private struct Waiter {
        let id: Int
        let matches: @Sendable (String) -> Bool
        let continuation: CheckedContinuation<String?, Never>
    }

    private struct State {
        var lines: [String] = []
        var partial: [UInt8] = []
        var ended = false
        var waiters: [Waiter] = []
        var nextWaiter = 0
        /// Waiters cancelled before they were stored.
        var cancelled: Set<Int> = []
    }

    private let state = Mutex(State())

    package init() {}

    /// All complete lines so far.
    package var lines: [String] { self.state.withLock { $0.lines } }

    /// All complete lines so far, as one text.
    package var text: String { self.lines.joined(separator: "\n") }

    /// Whether the stream has ended.
    package var hasEnded: Bool { self.state.withLock { $0.ended } }

    /// Adds bytes as they come from the stream.
    package func append(_ bytes: some Sequence<UInt8>) {
        let resumed: [(CheckedContinuation<String?, Never>, String)] = self.state.withLock { state in
            var resumed: [(CheckedContinuation<String?, Never>, String)] = []
            for byte in bytes {
                guard byte == UInt8(ascii: "\n") else {
                    state.partial.append(byte)
                    continue
                }
                let line = String(decoding: state.partial, as: UTF8.self)
                state.partial.removeAll(keepingCapacity: true)
                state.lines.append(line)
                state.waiters.removeAll { waiter in
                    guard waiter.matches(line) else { return false }
                    resumed.append((waiter.continuation, line))
                    return true
                }
            }
            return resumed
        }
        for (continuation, line) in resumed { continuation.resume(returning: line) }
    }

    /// Marks the end of the stream: a last line without a line break counts, and nobody waits any longer.
    package func end() {
        if !self.state.withLock({ $0.partial.isEmpty }) { self.append([UInt8(ascii: "\n")]) }
        let waiters = self.state.withLock { state in
            state.ended = true
            defer { state.waiters.removeAll() }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: nil) }
    }

    /// The first line, already there or still to come, that satisfies `matches`; nil when the stream ends without one.
    ///
    /// - Parameter start: how many of the earliest lines to pass over (`lines.count` waits for a new one).
    package func firstLine(from start: Int = 0, where matches: @escaping @Sendable (String) -> Bool) async -> String? {
        let id = self.state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let immediate: String?? = self.state.withLock { state in
                    if let line = state.lines.dropFirst(start).first(where: matches) { return .some(line) }
                    if state.ended || state.cancelled.remove(id) != nil { return .some(nil) }
                    state.waiters.append(Waiter(id: id, matches: matches, continuation: continuation))
                    return nil
                }
                if let immediate { continuation.resume(returning: immediate) }
            }
        } onCancel: {
            let waiter: Waiter? = self.state.withLock { state in
                guard let index = state.waiters.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.waiters.remove(at: index)
            }
            waiter?.continuation.resume(returning: nil)
        }
    }
}
