import LibC
package import NIOCore
import NIOPosix
import Synchronization

/// Waits for ``ConnectedUDPSocket``s on behalf of one event loop: a thread of its own asks the kernel (``ReadinessWait``) and
/// wakes the event loop, which reads.
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

    /// One for each event loop that has asked, for as long as the process lives.
    private static let pollers = Mutex<[ObjectIdentifier: UDPPoller]>([:])

    package let eventLoop: any EventLoop
    private let readiness: ReadinessWait
    /// Makes the event loop read, one of whose channels has taken its readable end.
    private let waker: WakeDescriptor
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
        let readiness = try ReadinessWait()
        let waker = try WakeDescriptor()
        self.eventLoop = eventLoop
        self.readiness = readiness
        self.waker = waker
        self.sockets = .makeBoxSendingValue(Sockets(), eventLoop: eventLoop)
        try DetachedThread.start { self.readiness.run(self.tell) }
        // What is written before the channel is there stays readable.
        NIOPipeBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Wakeup { [weak self] in self?.readReady() })
                }
            }
            .takingOwnershipOfDescriptor(input: waker.readable)
            .whenFailure { _ in
                // Only an event loop that is shut down takes no channel; nobody reads there any more.
                Self.pollers.withLock { $0[ObjectIdentifier(eventLoop)] = nil }
            }
    }

    // MARK: On the thread

    private func tell(_ tokens: [UInt64]) {
        let isFirst = self.state.withLock { state in
            state.ready += tokens
            defer { state.isWoken = true }
            return !state.isWoken
        }
        if isFirst { self.waker.wake() }
    }

    // MARK: On the event loop

    /// Watches a socket; returns the token to give back.
    func add(_ socket: ConnectedUDPSocket, descriptor: CInt) throws(IOError) -> UInt64 {
        let token = self.sockets.value.nextToken
        self.sockets.value.nextToken += 1
        try self.readiness.add(descriptor, token: token)
        self.sockets.value.byToken[token] = socket
        return token
    }

    /// The socket is about to be closed.
    func remove(_ token: UInt64) {
        self.readiness.remove(token)
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
        var finished: [UInt64] = []
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
            if hasMore {
                unfinished.append(token)
            } else if ReadinessWait.needsResuming {
                finished.append(token)
            }
        }
        self.sockets.value.buffer = buffer
        self.sockets.value.segmentBuffer = segmentBuffer
        if !finished.isEmpty { self.readiness.resume(finished) }
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
