import NIOCore

@testable import Signaling

/// A link as a test sees it: usable from a task, what it tells in order.
struct LinkProbe: Sendable {
    enum Event: Sendable, Equatable {
        case message(ByteBuffer)
        case unreliable(ByteBuffer)
        /// nil: in order.
        case closed(String?)
    }

    let link: NIOLoopBound<any SignalLink>
    /// How often the link told of room.
    let becameWritable: NIOLoopBoundBox<Int>
    private let events: AsyncStream<Event>

    /// On the link's event loop.
    init(_ link: any SignalLink) {
        self.link = NIOLoopBound(link, eventLoop: link.eventLoop)
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        self.events = events
        let becameWritable = NIOLoopBoundBox(0, eventLoop: link.eventLoop)
        self.becameWritable = becameWritable
        link.delegate = Recorder(continuation: continuation) { becameWritable.value += 1 }
    }

    private final class Recorder: SignalLinkDelegate {
        let continuation: AsyncStream<Event>.Continuation
        let writable: () -> Void

        init(continuation: AsyncStream<Event>.Continuation, writable: @escaping () -> Void) {
            self.continuation = continuation
            self.writable = writable
        }

        func link(_ link: any SignalLink, received message: ByteBuffer) {
            self.continuation.yield(.message(message))
        }

        func link(_ link: any SignalLink, receivedUnreliable message: ByteBuffer) {
            self.continuation.yield(.unreliable(message))
        }

        func linkBecameWritable(_ link: any SignalLink) {
            self.writable()
        }

        func linkClosed(_ link: any SignalLink, error: (any Error)?) {
            self.continuation.yield(.closed(error.map { "\($0)" }))
        }
    }

    func next() async -> Event? {
        for await event in self.events { return event }
        return nil
    }

    func send(_ message: ByteBuffer) {
        self.link.eventLoop.execute { self.link.value.send(message) }
    }

    func close() {
        self.link.eventLoop.execute { self.link.value.close() }
    }

    /// Returns when the close is over.
    func closeAndWait() async throws {
        try await self.link.eventLoop.flatSubmit {
            let closed = self.link.eventLoop.makePromise(of: Void.self)
            self.link.value.close(closed)
            return closed.futureResult
        }.get()
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (any SignalLink) -> Value) async throws -> Value {
        try await self.link.eventLoop.submit { body(self.link.value) }.get()
    }
}
