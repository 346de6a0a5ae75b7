import NIOCore
import Signaling

/// One end of a link in memory: what is sent comes out of the other end in the next turn of the event loop.
final class MemoryLink: SignalLink {
    let eventLoop: any EventLoop
    var localAddress: SocketAddress?
    var remoteAddress: SocketAddress?
    var channelBinding: [UInt8]?
    var pendingBytes = 0
    /// How many more messages there is room for among those that may be lost.
    private(set) var room = Int.max
    var preferredUnreliableSize = 16 * 1024
    private(set) var flushes = 0
    private(set) var lastReceived: NIODeadline
    private(set) var isClosed = false
    var delegate: (any SignalLinkDelegate)? {
        didSet { self.deliver() }
    }

    /// Everything is lost on the way while this is set.
    var isSilent = false
    private weak var other: MemoryLink?
    private var inbox: [ByteBuffer] = []
    private var isDelivering = false

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.lastReceived = eventLoop.now
    }

    static func pair(on eventLoop: any EventLoop, binding: [UInt8]? = nil) -> (MemoryLink, MemoryLink) {
        let pair = (MemoryLink(eventLoop: eventLoop), MemoryLink(eventLoop: eventLoop))
        pair.0.other = pair.1
        pair.1.other = pair.0
        pair.0.channelBinding = binding
        pair.1.channelBinding = binding
        return pair
    }

    func send(_ message: ByteBuffer) {
        guard !self.isClosed, !self.isSilent, let other = self.other else { return }
        self.eventLoop.assumeIsolated().execute { other.receive(message) }
    }

    func peerProved() {}

    var hasRoom: Bool { self.room > 0 }

    func limitRoom(to messages: Int) {
        self.room = messages
        if self.hasRoom { self.delegate?.linkBecameWritable(self) }
    }

    func sendUnreliably(_ message: ByteBuffer) {
        guard self.hasRoom, !self.isClosed, !self.isSilent, let other = self.other else { return }
        self.room -= 1
        self.eventLoop.assumeIsolated().execute { other.receiveUnreliable(message) }
    }

    func flush() {
        self.flushes += 1
    }

    func receiveUnreliable(_ message: ByteBuffer) {
        guard !self.isClosed else { return }
        self.lastReceived = self.eventLoop.now
        self.delegate?.link(self, receivedUnreliable: message)
    }

    func receive(_ message: ByteBuffer) {
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

    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.delegate = nil
        guard !self.isSilent, let other = self.other else { return }
        self.eventLoop.assumeIsolated().execute { other.lose(error: nil) }
    }

    /// The transport breaks at this end.
    func lose(error: (any Error)?) {
        guard !self.isClosed else { return }
        self.isClosed = true
        let delegate = self.delegate
        self.delegate = nil
        delegate?.linkClosed(self, error: error)
    }
}
