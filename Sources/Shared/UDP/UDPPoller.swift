import CLinuxUDP
import LibC
package import NIOCore
import NIOPosix
import Synchronization

/// Waits for ``ConnectedUDPSocket``s on behalf of one event loop: a thread of its own asks epoll(7) and wakes the event
/// loop, which reads.
///
/// NIO cannot hold these sockets. When the network reports an error (ICMP) to a connected socket, `DatagramChannel` closes
/// itself over most of them, and traps when the error has been fetched by somebody else in between (`SO_ERROR` is 0 then,
/// which it takes for fatal). To a flow of a relay such an error means nothing.
///
/// The event loop is woken by a descriptor that it watches like any other, and not by a task: tasks come before other
/// channels, so that one busy socket would keep all of those waiting.
package final class UDPPoller: Sendable {
    private struct State {
        /// Tokens of sockets that have become readable and not been read since.
        var ready: [UInt64] = []
        /// The event loop has been woken and has not looked yet.
        var isWoken = false
    }

    /// The sockets by token. A closed socket's token is not used again.
    private struct Sockets {
        var byToken: [UInt64: ConnectedUDPSocket] = [:]
        var nextToken: UInt64 = 1
        var buffer = ReceiveBuffer(.datagrams)
        /// For sockets that receive several datagrams at once; made for the first of them.
        var segmentBuffer: ReceiveBuffer?
    }

    /// Readable sockets learnt of by one call.
    private static let eventsPerWait = 256
    /// One for each event loop that has asked, for as long as the process lives.
    private static let pollers = Mutex<[ObjectIdentifier: UDPPoller]>([:])

    package let eventLoop: any EventLoop
    private let epoll: CInt
    /// An eventfd(2): what is written to it makes the event loop read. Its other end is a channel of the event loop.
    private let waker: CInt
    private let state = Mutex(State())
    private let sockets: NIOLoopBoundBox<Sockets>

    /// The poller of an event loop, which is made when it is asked for the first time. Throws `IOError`.
    package static func shared(by eventLoop: any EventLoop) throws(IOError) -> UDPPoller {
        let result = self.pollers.withLock { pollers in
            Result { () throws(IOError) in
                if let poller = pollers[ObjectIdentifier(eventLoop)] { return poller }
                let poller = try UDPPoller(eventLoop: eventLoop)
                // Holds the event loop, whose identifier is thus nobody else's.
                pollers[ObjectIdentifier(eventLoop)] = poller
                return poller
            }
        }
        return try result.get()
    }

    private init(eventLoop: any EventLoop) throws(IOError) {
        let epoll = epoll_create1(O_CLOEXEC)
        guard epoll >= 0 else { throw IOError(errnoCode: errno, reason: "epoll_create1") }
        let waker = eventfd(0, O_CLOEXEC | O_NONBLOCK)
        guard waker >= 0 else {
            let error = errno
            closeDescriptor(epoll)
            throw IOError(errnoCode: error, reason: "eventfd")
        }
        self.eventLoop = eventLoop
        self.epoll = epoll
        self.waker = waker
        self.sockets = .makeBoxSendingValue(Sockets(), eventLoop: eventLoop)
        try DetachedThread.start { self.poll() }
        // What is written before the channel is there stays readable.
        NIOPipeBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Wakeup { [weak self] in self?.readReady() })
                }
            }
            .takingOwnershipOfDescriptor(input: waker)
            .whenFailure { _ in
                // Only an event loop that is shut down takes no channel; nobody reads there any more.
                Self.pollers.withLock { $0[ObjectIdentifier(eventLoop)] = nil }
            }
    }

    deinit {
        closeDescriptor(self.epoll)
    }

    // MARK: On the thread

    private func poll() -> Never {
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventsPerWait)
        while true {
            let count = epoll_wait(self.epoll, &events, CInt(events.count), -1)
            // EINTR is all that can happen to a valid descriptor.
            guard count > 0 else { continue }
            self.tell(events.prefix(Int(count)).map { event in withUnsafePointer(to: event, CLinuxUDP_epoll_token) })
        }
    }

    private func tell(_ tokens: [UInt64]) {
        let isFirst = self.state.withLock { state in
            state.ready += tokens
            defer { state.isWoken = true }
            return !state.isWoken
        }
        guard isFirst else { return }
        var one: UInt64 = 1
        _ = write(self.waker, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: On the event loop

    /// Watches a socket; returns the token to give back.
    func add(_ socket: ConnectedUDPSocket, descriptor: CInt) throws(IOError) -> UInt64 {
        let token = self.sockets.value.nextToken
        self.sockets.value.nextToken += 1
        guard CLinuxUDP_epoll_add(self.epoll, descriptor, token) == 0 else {
            throw IOError(errnoCode: errno, reason: "epoll_ctl")
        }
        self.sockets.value.byToken[token] = socket
        return token
    }

    /// The socket is about to be closed, which ends the kernel's watch.
    func remove(_ token: UInt64) {
        self.sockets.value.byToken[token] = nil
    }

    private func readReady() {
        let tokens = self.state.withLock { state in
            defer { state.ready = [] }
            state.isWoken = false
            return state.ready
        }
        // Each socket once, however often it was told of.
        var queue: [(token: UInt64, socket: ConnectedUDPSocket)] = []
        for token in tokens {
            guard let socket = self.sockets.value.byToken[token], !socket.isQueued else { continue }
            socket.isQueued = true
            queue.append((token, socket))
        }
        var buffer = self.sockets.value.buffer
        var segmentBuffer = self.sockets.value.segmentBuffer
        // Away from the table, so that the memory is not shared and can be written again.
        self.sockets.value.buffer = ReceiveBuffer(empty: ())
        self.sockets.value.segmentBuffer = nil
        var unfinished: [UInt64] = []
        for (token, socket) in queue {
            socket.isQueued = false
            let hasMore: Bool
            if socket.receivesSegments {
                var own = segmentBuffer.take() ?? ReceiveBuffer(.segments)
                hasMore = socket.read(into: &own)
                segmentBuffer = own
            } else {
                hasMore = socket.read(into: &buffer)
            }
            if hasMore { unfinished.append(token) }
        }
        self.sockets.value.buffer = buffer
        self.sockets.value.segmentBuffer = segmentBuffer
        // Other channels get their turn first.
        if !unfinished.isEmpty { self.tell(unfinished) }
    }
}

/// The event loop's end of the descriptor that wakes it.
private final class Wakeup: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let body: () -> Void

    init(_ body: @escaping () -> Void) { self.body = body }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.body()
    }
}

@available(*, unavailable)
extension Wakeup: Sendable {}

/// close(2), in types that have a `close` of their own.
func closeDescriptor(_ descriptor: CInt) { _ = close(descriptor) }
