import AppProto
import NIOCore

/// What a client or an agent sends over the bridge: queues it while the control connection has no room, and gathers what
/// one turn of the event loop brings. Belongs to the connection's event loop.
final class BridgeSender {
    /// At 200 ms nobody waits any more for an answer that has not come; a path of that delay would be no good.
    private static let limits = BridgeQueue<PeerID>.Limits(
        flowBytes: 128 * 1024, totalBytes: 1024 * 1024, age: .milliseconds(200))

    private let eventLoop: any EventLoop
    private var queue = BridgeQueue<PeerID>(limits: BridgeSender.limits)
    private var connection: SignalConnection?
    private var isScheduled = false
    private var isDraining = false
    private(set) var sent: UInt64 = 0
    private(set) var withoutConnection: UInt64 = 0

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    var drops: BridgeQueue<PeerID>.Drops { self.queue.drops }

    /// Datagrams go over `connection` from now on; nil: nowhere. What waits is dropped.
    func use(_ connection: SignalConnection?) {
        self.queue.removeAll()
        self.connection = connection
    }

    func send(_ bridge: Bridge) {
        guard self.connection != nil else {
            self.withoutConnection += UInt64(bridge.datagramCount)
            return
        }
        self.queue.append(bridge, of: bridge.peerID, at: self.eventLoop.now)
        guard !self.isScheduled else { return }
        self.isScheduled = true
        self.eventLoop.assumeIsolated().execute {
            self.isScheduled = false
            self.drain()
        }
    }

    /// Sends as much as the connection has room for. Call it when there is room again.
    func drain() {
        // Sending may make room at once, which is told from within.
        guard !self.isDraining, let connection = self.connection else { return }
        self.isDraining = true
        defer { self.isDraining = false }
        let now = self.eventLoop.now
        while connection.hasBridgeRoom, let (_, bridge) = self.queue.next(at: now) {
            connection.sendBridge(bridge)
            self.sent += UInt64(bridge.datagramCount)
        }
        connection.flushBridge()
    }
}

@available(*, unavailable)
extension BridgeSender: Sendable {}
