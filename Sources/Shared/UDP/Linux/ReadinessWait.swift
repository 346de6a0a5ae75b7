import CLinuxUDP
import LibC
import NIOCore

/// Waits for sockets to become readable, by epoll(7). They are known by tokens. Safe to use from several threads, of which
/// one waits.
final class ReadinessWait: Sendable {
    /// Whether a socket that was told of is told of again only after ``resume(_:)``. Here it is when something more comes.
    static let needsResuming = false
    /// Readable sockets learnt of by one call.
    private static let eventsPerWait = 256

    private let epoll: CInt

    /// Throws `IOError`.
    init() throws(IOError) {
        self.epoll = epoll_create1(O_CLOEXEC)
        guard self.epoll >= 0 else { throw IOError(errnoCode: errno, reason: "epoll_create1") }
    }

    deinit {
        closeDescriptor(self.epoll)
    }

    /// Watches a socket. Throws `IOError`.
    func add(_ descriptor: CInt, token: UInt64) throws(IOError) {
        guard CLinuxUDP_epoll_add(self.epoll, descriptor, token) == 0 else {
            throw IOError(errnoCode: errno, reason: "epoll_ctl")
        }
    }

    /// The socket is about to be closed, which ends the kernel's watch.
    func remove(_ token: UInt64) {}

    /// Nothing more is there to read from these.
    func resume(_ tokens: [UInt64]) {}

    /// Hands the tokens of sockets that have become readable to `body`, again and again.
    func run(_ body: ([UInt64]) -> Void) -> Never {
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventsPerWait)
        while true {
            let count = epoll_wait(self.epoll, &events, CInt(events.count), -1)
            // EINTR is all that can happen to a valid descriptor.
            guard count > 0 else { continue }
            body(events.prefix(Int(count)).map { event in withUnsafePointer(to: event, CLinuxUDP_epoll_token) })
        }
    }
}
