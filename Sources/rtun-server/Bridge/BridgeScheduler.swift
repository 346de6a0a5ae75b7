import AppProto
import HeapModule
import NIOCore
import Signaling

/// Decides which datagram goes through the bridge next: equal shares for all channels, within the rates, and only to where
/// there is room. A value without sockets or clock.
///
/// Each channel has a line for each direction. A line whose destination has no room, or which has used up its rate, is out
/// of the rotation until that has changed, and costs nothing meanwhile.
struct BridgeScheduler {
    /// One direction of one channel.
    struct Flow: Hashable {
        let peer: PeerID
        let destination: SessionID
    }

    /// What the bridge of one server carries.
    struct Limits: Sendable {
        /// For each channel and direction; nil: none.
        var channelRate: BitRate?
        /// For all of them together; nil: none.
        var totalRate: BitRate?
        /// What may wait, and for how long.
        var waiting = BridgeQueue<Flow>.Limits(
            flowBytes: 128 * 1024, totalBytes: 64 * 1024 * 1024, age: .milliseconds(250))
    }

    /// How often lines had to leave the rotation.
    struct Waits: Equatable {
        var rate: UInt64 = 0
        var link: UInt64 = 0
    }

    private struct Wait: Comparable {
        let until: NIODeadline
        let flow: Flow

        static func < (left: Wait, right: Wait) -> Bool { left.until < right.until }
    }

    private var limits: Limits
    private var queue: BridgeQueue<Flow>
    private var total: RatePacer?
    /// Only with a rate. A flow's stays when nothing waits: it remembers what was sent a moment ago.
    private var pacers: [Flow: RatePacer] = [:]
    private var waitingForRate = Heap<Wait>()
    private var waitingForRoom: [SessionID: [Flow]] = [:]
    private(set) var waits = Waits()

    init(_ limits: Limits, at now: NIODeadline) {
        self.limits = limits
        self.queue = BridgeQueue(limits: limits.waiting)
        self.total = limits.totalRate.map { RatePacer($0, at: now) }
    }

    /// Other rates hold from now on; what may wait stays as it is.
    mutating func change(to limits: Limits, at now: NIODeadline) {
        self.limits.channelRate = limits.channelRate
        self.limits.totalRate = limits.totalRate
        self.total = limits.totalRate.map { RatePacer($0, at: now) }
        // They would wait for as long as the rate before wanted it.
        self.pacers = [:]
        while let wait = self.waitingForRate.popMin() { self.queue.resume(wait.flow) }
    }

    var drops: BridgeQueue<Flow>.Drops { self.queue.drops }

    /// What all that waits takes, in bytes.
    var cost: Int { self.queue.cost }

    /// When `next` may have something again, unless more comes or a link has room before; nil: only then.
    var nextDeadline: NIODeadline? {
        let rate = self.waitingForRate.min?.until
        guard let total = self.total, !self.queue.isIdle else { return rate }
        return min(total.readyAt, rate ?? total.readyAt)
    }

    /// Datagrams have come for `flow`.
    mutating func append(_ bridge: Bridge, of flow: Flow, at now: NIODeadline) {
        self.queue.append(bridge, of: flow, at: now)
    }

    /// Takes out what goes now; nil when that is nothing.
    mutating func next(
        at now: NIODeadline, hasRoom: (SessionID) -> Bool
    ) -> (destination: SessionID, bridge: Bridge)? {
        while let wait = self.waitingForRate.min, wait.until <= now {
            self.waitingForRate.removeMin()
            self.queue.resume(wait.flow)
        }
        if let total = self.total, total.readyAt > now { return nil }
        guard let next = self.choose(at: now, hasRoom) else { return nil }
        self.take(next.bridge.datagrams.readableBytes, of: next.flow, at: now)
        return (next.flow.destination, next.bridge)
    }

    private mutating func choose(
        at now: NIODeadline, _ hasRoom: (SessionID) -> Bool
    ) -> (flow: Flow, bridge: Bridge)? {
        var withoutRoom: [Flow] = []
        var tooFast: [Wait] = []
        let pacers = self.pacers
        let next = self.queue.next(at: now) { flow in
            guard hasRoom(flow.destination) else {
                withoutRoom.append(flow)
                return false
            }
            if let readyAt = pacers[flow]?.readyAt, readyAt > now {
                tooFast.append(Wait(until: readyAt, flow: flow))
                return false
            }
            return true
        }
        self.hold(withoutRoom, tooFast)
        return next
    }

    private mutating func hold(_ withoutRoom: [Flow], _ tooFast: [Wait]) {
        for flow in withoutRoom { self.waitingForRoom[flow.destination, default: []].append(flow) }
        for wait in tooFast { self.waitingForRate.insert(wait) }
        self.waits.link += UInt64(withoutRoom.count)
        self.waits.rate += UInt64(tooFast.count)
    }

    private mutating func take(_ bytes: Int, of flow: Flow, at now: NIODeadline) {
        self.total?.take(bytes, at: now)
        guard let rate = self.limits.channelRate else { return }
        self.pacers[flow, default: RatePacer(rate, at: now)].take(bytes, at: now)
    }

    /// There is room on the way to `session` again.
    mutating func linkHasRoom(_ session: SessionID) {
        for flow in self.waitingForRoom.removeValue(forKey: session) ?? [] { self.queue.resume(flow) }
    }

    /// The channel has no such direction any more.
    mutating func remove(_ flow: Flow) {
        self.queue.remove(flow)
        self.pacers[flow] = nil
    }

    /// The session has ended. Its channels are taken out one by one.
    mutating func remove(_ session: SessionID) {
        self.waitingForRoom[session] = nil
    }
}
