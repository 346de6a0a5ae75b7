import LibC
import NIOCore
import Synchronization

/// Waits for sockets to become readable, by poll(2). They are known by tokens. Safe to use from several threads, of which
/// one waits.
///
/// A socket that was told of is left out until it has been read: poll(2) would tell of it again at once.
final class ReadinessWait: Sendable {
    /// Whether a socket that was told of is told of again only after ``resume(_:)``.
    static let needsResuming = true

    private struct State {
        var descriptors: [UInt64: CInt] = [:]
        /// Those to wait for.
        var waiting: Set<UInt64> = []
        /// The thread waits for others than these, or is about to.
        var isOutdated = false
    }

    private let state = Mutex(State())
    private let waker: WakeDescriptor

    /// Throws `IOError`.
    init() throws(IOError) {
        self.waker = try WakeDescriptor()
    }

    deinit {
        self.waker.close()
    }

    /// Watches a socket. Throws nothing here.
    func add(_ descriptor: CInt, token: UInt64) throws(IOError) {
        self.change { state in
            state.descriptors[token] = descriptor
            state.waiting.insert(token)
        }
    }

    /// The socket is about to be closed. The kernel keeps it until the thread waits for it no more.
    func remove(_ token: UInt64) {
        self.change { state in
            state.descriptors[token] = nil
            state.waiting.remove(token)
        }
    }

    /// Nothing more is there to read from these.
    func resume(_ tokens: [UInt64]) {
        self.change { state in
            for token in tokens where state.descriptors[token] != nil { state.waiting.insert(token) }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let wasOutdated = self.state.withLock { state in
            body(&state)
            defer { state.isOutdated = true }
            return state.isOutdated
        }
        if !wasOutdated { self.waker.wake() }
    }

    /// Hands the tokens of sockets that have become readable to `body`, again and again.
    func run(_ body: ([UInt64]) -> Void) -> Never {
        var tokens: [UInt64] = []
        var descriptors = [self.entry(self.waker.readable)]
        while true {
            // EINTR is no news; lack of memory passes.
            guard poll(&descriptors, nfds_t(descriptors.count), -1) > 0 else {
                if errno != EINTR { usleep(10_000) }
                continue
            }
            if descriptors[0].revents != 0 { self.waker.drain() }
            let ready = zip(tokens, descriptors.dropFirst()).filter { $0.1.revents != 0 }.map(\.0)
            self.state.withLock { state in
                state.waiting.subtract(ready)
                guard state.isOutdated || !ready.isEmpty else { return }
                state.isOutdated = false
                tokens.removeAll(keepingCapacity: true)
                descriptors.removeSubrange(1...)
                for token in state.waiting {
                    guard let descriptor = state.descriptors[token] else { continue }
                    tokens.append(token)
                    descriptors.append(self.entry(descriptor))
                }
            }
            if !ready.isEmpty { body(ready) }
        }
    }

    private func entry(_ descriptor: CInt) -> pollfd {
        pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    }
}
