import NIOCore
import Synchronization

/// Bounds how many datagrams a session sends to addresses that have not answered, or all spreads of a process.
///
/// Where these are is for peers to say: without a bound, whoever has the secret could have an agent knock on ports of others
/// with far more than what was sent to it. What is not sent counts as lost, and is sent again later.
final class CheckBudget: Sendable {
    /// For one session, so that one with many addresses leaves room for others: pacing lets it begin 20 checks a second.
    static func ofSession() -> CheckBudget { CheckBudget(rate: 60, burst: 150) }

    private struct State {
        var tokens: Double
        var updated = NIODeadline.uptimeNanoseconds(0)
    }

    private let rate: Double
    private let burst: Double
    private let state: Mutex<State>

    /// - Parameters:
    ///   - rate: datagrams a second.
    ///   - burst: what may be sent at once after a pause.
    init(rate: Int, burst: Int) {
        self.rate = Double(rate)
        self.burst = Double(burst)
        self.state = Mutex(State(tokens: Double(burst)))
    }

    /// Takes one datagram out of the budget; false when it is used up.
    func take(at now: NIODeadline) -> Bool {
        self.state.withLock { state in
            let elapsed = Double(max(0, (now - state.updated).nanoseconds)) / 1e9
            state.tokens = min(self.burst, state.tokens + elapsed * self.rate)
            state.updated = max(state.updated, now)
            guard state.tokens >= 1 else { return false }
            state.tokens -= 1
            return true
        }
    }
}
