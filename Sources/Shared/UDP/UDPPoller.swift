import CLinuxUDP
package import NIOCore
import NIOPosix
import Synchronization

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Waits for ``ConnectedUDPSocket``s on behalf of one event loop: a thread of its own asks epoll(7) and lets the event loop
/// read.
///
/// NIO cannot hold these sockets. When the network reports an error (ICMP) to a connected socket, `DatagramChannel` closes
/// itself over most of them, and traps when the error has been fetched by somebody else in between (`SO_ERROR` is 0 then,
/// which it takes for fatal). To a flow of a relay such an error means nothing.
package final class UDPPoller: Sendable {
    private struct State {
        /// Tokens of sockets that have become readable and not been told yet.
        var ready: [UInt64] = []
        var isScheduled = false
    }

    /// The sockets by token. A closed socket's token is not used again.
    private struct Sockets {
        var byToken: [UInt64: ConnectedUDPSocket] = [:]
        var nextToken: UInt64 = 1
        var buffer = ReceiveBuffer()
    }

    /// The token of the descriptor that ends the thread.
    private static let stopToken: UInt64 = 0
    /// Readable sockets learnt of by one call.
    private static let eventsPerWait = 256

    package let eventLoop: any EventLoop
    private let epoll: CInt
    private let stopping: CInt
    private let state = Mutex(State())
    private let sockets: NIOLoopBoundBox<Sockets>

    /// Starts the thread; ``close()`` ends it. Throws `IOError`.
    package init(eventLoop: any EventLoop) throws {
        let epoll = epoll_create1(O_CLOEXEC)
        guard epoll >= 0 else { throw IOError(errnoCode: errno, reason: "epoll_create1") }
        let stopping = eventfd(0, O_CLOEXEC)
        guard stopping >= 0, CLinuxUDP_epoll_add(epoll, stopping, Self.stopToken) == 0 else {
            let error = errno
            Self.closeDescriptors(epoll, stopping)
            throw IOError(errnoCode: error, reason: "eventfd")
        }
        self.eventLoop = eventLoop
        self.epoll = epoll
        self.stopping = stopping
        self.sockets = .makeBoxSendingValue(Sockets(), eventLoop: eventLoop)
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        threads.submit { _ in
            self.poll()
            Self.closeDescriptors(epoll, stopping)
            threads.shutdownGracefully { _ in }
        }
    }

    private static func closeDescriptors(_ descriptors: CInt...) {
        for descriptor in descriptors where descriptor >= 0 { closeDescriptor(descriptor) }
    }

    /// Ends the thread. No socket of this poller may be open.
    package func close() {
        var one: UInt64 = 1
        _ = write(self.stopping, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: On the thread

    private func poll() {
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventsPerWait)
        while true {
            let count = epoll_wait(self.epoll, &events, CInt(events.count), -1)
            if count < 0 {
                // EINTR is all that can happen to a valid descriptor.
                continue
            }
            let tokens = events.prefix(Int(count)).map { event in withUnsafePointer(to: event, CLinuxUDP_epoll_token) }
            if tokens.contains(Self.stopToken) { return }
            self.tell(tokens)
        }
    }

    private func tell(_ tokens: [UInt64]) {
        let isFirst = self.state.withLock { state in
            state.ready += tokens
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isFirst { self.eventLoop.execute { self.readReady() } }
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
            state.isScheduled = false
            return state.ready
        }
        var buffer = self.sockets.value.buffer
        // Away from the table, so that the memory is not shared and can be written again.
        self.sockets.value.buffer = ReceiveBuffer(empty: ())
        var unfinished: [UInt64] = []
        for token in tokens {
            guard let socket = self.sockets.value.byToken[token] else { continue }
            if socket.read(into: &buffer) { unfinished.append(token) }
        }
        self.sockets.value.buffer = buffer
        // Others get their turn first.
        if !unfinished.isEmpty { self.tell(unfinished) }
    }
}

/// close(2), in types that have a `close` of their own.
func closeDescriptor(_ descriptor: CInt) { _ = close(descriptor) }
