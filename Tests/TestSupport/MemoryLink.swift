package import NIOCore
package import Signaling

/// One end of a link in memory: what is sent comes out of the other end in the next turn of the event loop.
package final class MemoryLink: SignalLink {
    package let eventLoop: any EventLoop
    package var localAddress: SocketAddress?
    package var remoteAddress: SocketAddress?
    package var channelBinding: [UInt8]?
    package var pendingBytes = 0
    /// How many more messages there is room for among those that may be lost.
    package private(set) var room = Int.max
    package var preferredUnreliableSize = 16 * 1024
    package private(set) var flushes = 0
    package private(set) var lastReceived: NIODeadline
    package private(set) var isClosed = false
    package var delegate: (any SignalLinkDelegate)? {
        didSet { self.deliver() }
    }

    /// Everything is lost on the way while this is set.
    package var isSilent = false
    private weak var other: MemoryLink?
    private var inbox: [ByteBuffer] = []
    private var isDelivering = false

    package init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.lastReceived = eventLoop.now
    }

    package static func pair(on eventLoop: any EventLoop, binding: [UInt8]? = nil) -> (MemoryLink, MemoryLink) {
        let pair = (MemoryLink(eventLoop: eventLoop), MemoryLink(eventLoop: eventLoop))
        pair.0.other = pair.1
        pair.1.other = pair.0
        pair.0.channelBinding = binding
        pair.1.channelBinding = binding
        return pair
    }

    package func send(_ message: ByteBuffer) {
        guard !self.isClosed, !self.isSilent, let other = self.other else { return }
        self.eventLoop.assumeIsolated().execute { other.receive(message) }
    }

    package func peerProved() {}

    package var hasRoom: Bool { self.room > 0 }

    package func limitRoom(to messages: Int) {
        self.room = messages
        if self.hasRoom { self.delegate?.linkBecameWritable(self) }
    }

    package func sendUnreliably(_ message: ByteBuffer) {
        guard self.hasRoom, !self.isClosed, !self.isSilent, let other = self.other else { return }
        self.room -= 1
        self.eventLoop.assumeIsolated().execute { other.receiveUnreliable(message) }
    }

    package func flush() {
        self.flushes += 1
    }

    package func receiveUnreliable(_ message: ByteBuffer) {
        guard !self.isClosed else { return }
        self.lastReceived = self.eventLoop.now
        self.delegate?.link(self, receivedUnreliable: message)
    }

    package func receive(_ message: ByteBuffer) {
        guard !self.isClosed else { return }
        self.lastReceived = self.eventLoop.now
        self.inbox.append(message)
        self.deliver()
    }

    private func deliver() {
        guard !self.isDelivering else { return }
        self.isDelivering = true
        defer { self.isDelivering = false }
        while let delegate = self.delegate, !self.inbox.isEmpty {
            delegate.link(self, received: self.inbox.removeFirst())
        }
    }

    package func close(_ closed: EventLoopPromise<Void>?) {
        guard !self.isClosed else {
            closed?.succeed()
            return
        }
        self.isClosed = true
        self.delegate = nil
        guard !self.isSilent, let other = self.other else {
            self.eventLoop.assumeIsolated().scheduleTask(in: SignalLinkLimits.closeTimeout) { closed?.succeed() }
            return
        }
        self.eventLoop.assumeIsolated().execute {
            other.lose(error: nil)
            closed?.succeed()
        }
    }

    /// The transport breaks at this end.
    package func lose(error: (any Error)?) {
        guard !self.isClosed else { return }
        self.isClosed = true
        let delegate = self.delegate
        self.delegate = nil
        delegate?.linkClosed(self, error: error)
    }
}
