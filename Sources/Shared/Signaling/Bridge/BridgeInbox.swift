import AppProto
import DequeModule
import Synchronization

/// Datagrams on their way from other event loops to that of the control connection, bounded in bytes: a loop that is busy
/// must not collect what it will never get rid of.
final class BridgeInbox: Sendable {
    private struct State {
        var waiting: Deque<Bridge> = []
        var cost = 0
        var dropped: UInt64 = 0
        /// Whether somebody has been sent to collect.
        var isAnnounced = false
    }

    private static let maximumBytes = 512 * 1024

    private let state = Mutex(State())

    /// Datagrams that had no room.
    var dropped: UInt64 { self.state.withLock { $0.dropped } }

    /// Takes datagrams in, or drops them. True: have `takeAll` called on the connection's loop, once.
    func add(_ bridge: Bridge) -> Bool {
        let cost = BridgeBacklog.cost(of: bridge)
        return self.state.withLock { state in
            guard state.cost + cost <= Self.maximumBytes else {
                state.dropped += UInt64(bridge.datagramCount)
                return false
            }
            state.waiting.append(bridge)
            state.cost += cost
            defer { state.isAnnounced = true }
            return !state.isAnnounced
        }
    }

    /// All that has come since the last time.
    func takeAll() -> Deque<Bridge> {
        self.state.withLock { state in
            defer {
                state.waiting = []
                state.cost = 0
                state.isAnnounced = false
            }
            return state.waiting
        }
    }
}
