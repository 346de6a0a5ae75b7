import Basics
import DequeModule
import NIOCore
import Synchronization

/// Bounds how many datagrams a whole process sends to addresses that have not answered, and shares them out among those for
/// whom they are sent.
///
/// There are so many places, and a datagram takes one for so long: no window of that length has more datagrams than places.
final class SharedCheckBudget: Sendable {
    private struct State {
        var shares: Shares<ObjectIdentifier, ObjectIdentifier>
        /// When places come back, in that order; as many as are taken.
        var returns: Deque<(at: NIODeadline, owner: ObjectIdentifier)> = []
    }

    private let window: TimeAmount
    private let state: Mutex<State>

    /// - Parameter limit: datagrams in any `window`.
    init(limit: Int, window: TimeAmount) {
        self.window = window
        self.state = Mutex(State(shares: Shares(limit: limit, factor: 7)))
    }

    /// Takes one datagram out of the budget; false when an owner has used up its share. What is not sent counts as lost, and is
    /// sent again later.
    func take(for owner: ObjectIdentifier, at now: NIODeadline) -> Bool {
        self.state.withLock { state in
            while let first = state.returns.first, first.at <= now {
                state.returns.removeFirst()
                state.shares.giveBack(by: first.owner)
            }
            guard state.shares.take(by: owner) else { return false }
            // Event loops see the time a little differently.
            state.returns.append((max(now + self.window, state.returns.last?.at ?? now), owner))
            return true
        }
    }
}
