import LibC
package import NIOCore
import Synchronization
import UDP

/// Tells when this machine's addresses change, or the way of its packets to the internet, or when it has stood still.
///
/// Only real changes are told, 300 ms to 2 s after the first sign of them: lifetimes that are renewed and addresses that
/// cannot be used yet are none. Safe to use from anywhere.
package final class AddressMonitor: Sendable {
    private struct Listener {
        let eventLoop: any EventLoop
        let changed: NIOLoopBound<(AddressChange) -> Void>
    }

    private struct State {
        var listeners: [UInt64: Listener] = [:]
        var nextToken: UInt64 = 1
        /// What ends the thread, which closes it. Nil while there is none.
        var stopping: WakeDescriptor?
    }

    /// The one of this process.
    package static let shared = AddressMonitor()

    private let listens: Bool
    private let timing: AddressWatch.Timing
    private let state = Mutex(State())

    /// - Parameter listens: whether to hear what the kernel says of changes, where it does.
    init(listens: Bool = true, timing: AddressWatch.Timing = AddressWatch.Timing()) {
        self.listens = listens
        self.timing = timing
    }

    deinit {
        self.state.withLock(\.stopping)?.wake()
    }

    /// Calls `changed` on `eventLoop` for each change from now on, as long as the subscription lives. On that event loop.
    ///
    /// On a machine where the addresses cannot be read at all, nothing is ever told.
    package func subscribe(
        on eventLoop: any EventLoop, _ changed: @escaping (AddressChange) -> Void
    ) -> AddressSubscription {
        let listener = Listener(
            eventLoop: eventLoop, changed: NIOLoopBound(changed, eventLoop: eventLoop))
        let token = self.state.withLock { state in
            // With the first one, and within the lock, so that nobody misses what happens after this call.
            if state.stopping == nil { state.stopping = try? self.start() }
            defer { state.nextToken += 1 }
            state.listeners[state.nextToken] = listener
            return state.nextToken
        }
        return AddressSubscription(monitor: self, token: token)
    }

    /// Returns what ends the thread. Throws `IOError`.
    private func start() throws(IOError) -> WakeDescriptor {
        let stopping = try WakeDescriptor()
        let watcher: AddressWatcher
        do {
            watcher = try AddressWatcher(listens: self.listens, timing: self.timing, stopping: stopping) {
                [weak self] change in self?.tell(change)
            }
        } catch {
            stopping.close()
            throw error
        }
        try watcher.start()
        return stopping
    }

    /// On the thread.
    private func tell(_ change: AddressChange) {
        // Only tokens leave the lock: a listener is to be let go of on its own event loop.
        let loops = self.state.withLock { state in state.listeners.mapValues(\.eventLoop) }
        for (token, eventLoop) in loops {
            eventLoop.execute {
                self.state.withLock { $0.listeners[token] }?.changed.value(change)
            }
        }
    }

    fileprivate func remove(_ token: UInt64) {
        // Let go of outside the lock.
        _ = self.state.withLock { $0.listeners.removeValue(forKey: token) }
    }
}

/// Ends with its last reference. Belongs to the event loop that it was made for.
package final class AddressSubscription {
    private let monitor: AddressMonitor
    private let token: UInt64

    fileprivate init(monitor: AddressMonitor, token: UInt64) {
        self.monitor = monitor
        self.token = token
    }

    deinit {
        self.cancel()
    }

    /// Nothing is told any more.
    package func cancel() {
        self.monitor.remove(self.token)
    }
}

@available(*, unavailable)
extension AddressSubscription: Sendable {}
