import NIOCore
import Synchronization

/// Bounds how many datagrams this process sends to addresses that have not answered, over all its channels.
///
/// Where these are is for peers to say: without a bound, whoever has the secret could have an agent knock on ports of others
/// with far more than what was sent to it. What is not sent counts as lost, and is sent again later.
final class CheckBudget: Sendable {
    /// The budget of this process.
    static let shared = CheckBudget()

    /// Datagrams a second: a whole spread takes 150 for 12 s, and leaves as many for others.
    static let rate = 300
    /// What may be sent at once after a pause.
    static let burst = 600

    private struct State {
        var tokens = Double(CheckBudget.burst)
        var updated = NIODeadline.uptimeNanoseconds(0)
    }

    private let state = Mutex(State())

    /// Takes one datagram out of the budget; false when it is used up.
    func take(at now: NIODeadline) -> Bool {
        self.state.withLock { state in
            let elapsed = Double(max(0, (now - state.updated).nanoseconds)) / 1e9
            state.tokens = min(Double(Self.burst), state.tokens + elapsed * Double(Self.rate))
            state.updated = max(state.updated, now)
            guard state.tokens >= 1 else { return false }
            state.tokens -= 1
            return true
        }
    }
}
