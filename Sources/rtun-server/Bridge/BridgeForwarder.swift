import AppProto
import Logging
import NIOCore
import Signaling

/// Carries datagrams from one control connection to another, as the scheduler decides. Belongs to the server's event loop.
final class BridgeForwarder {
    /// Counts of datagrams and their bytes since the start.
    private struct Counters {
        var datagrams: UInt64 = 0
        var bytes: UInt64 = 0
        var noRoute: UInt64 = 0
        var notAllowed: UInt64 = 0
    }

    private let eventLoop: any EventLoop
    /// The connection of a session that lives.
    private let connection: (SessionID) -> SignalConnection?
    private var scheduler: BridgeScheduler
    private var counters = Counters()
    /// Connections that have been given something in this round.
    private var unflushed: [SessionID: SignalConnection] = [:]
    private var isScheduled = false
    private var timer: (at: NIODeadline, timer: Scheduled<Void>)?

    init(
        eventLoop: any EventLoop, limits: BridgeScheduler.Limits,
        connection: @escaping (SessionID) -> SignalConnection?
    ) {
        self.eventLoop = eventLoop
        self.connection = connection
        self.scheduler = BridgeScheduler(limits, at: eventLoop.now)
    }

    /// Takes datagrams in, and does with them what the broker says.
    func received(_ bridge: Bridge, _ bridging: Bridging) {
        switch bridging {
        case .carry(let destination):
            let flow = BridgeScheduler.Flow(peer: bridge.peerID, destination: destination)
            self.scheduler.append(bridge, of: flow, at: self.eventLoop.now)
            self.scheduleDrain()
        case .noRoute:
            self.counters.noRoute += UInt64(bridge.datagramCount)
        case .notAllowed:
            self.counters.notAllowed += UInt64(bridge.datagramCount)
        }
    }

    /// Other rates hold from now on.
    func change(to limits: BridgeScheduler.Limits) {
        self.scheduler.change(to: limits, at: self.eventLoop.now)
        self.timer?.timer.cancel()
        self.timer = nil
        self.scheduleDrain()
    }

    /// A connection has room again.
    func linkHasRoom(_ session: SessionID) {
        self.scheduler.linkHasRoom(session)
        self.scheduleDrain()
    }

    /// Channels have ended, or lead elsewhere now.
    func ended(_ routes: [PeerRoutes.Ended]) {
        for route in routes {
            self.scheduler.remove(BridgeScheduler.Flow(peer: route.peer, destination: route.ends.client))
            self.scheduler.remove(BridgeScheduler.Flow(peer: route.peer, destination: route.ends.agent))
        }
    }

    func sessionEnded(_ session: SessionID) {
        self.scheduler.remove(session)
    }

    func stop() {
        self.timer?.timer.cancel()
        self.timer = nil
    }

    /// What the bridge has done since the start; counts of datagrams, but for `queued`.
    struct Counts: Sendable {
        var datagrams: UInt64 = 0
        /// Bytes that wait.
        var queued = 0
        /// By reason, as the log has it.
        var drops: [(String, UInt64)] = []
    }

    var counts: Counts {
        let drops = self.scheduler.drops
        return Counts(
            datagrams: self.counters.datagrams, queued: self.scheduler.cost,
            drops: [
                ("no_route", self.counters.noRoute), ("not_allowed", self.counters.notAllowed),
                ("queue_full", drops.full), ("too_old", drops.tooOld), ("channel_ended", drops.ended),
            ])
    }

    /// What is known of the bridge, for the log.
    func metadata(channels: Int) -> Logger.Metadata {
        let drops = self.scheduler.drops
        let waits = self.scheduler.waits
        let values: [(String, UInt64)] = [
            ("channels", UInt64(channels)), ("datagrams", self.counters.datagrams), ("bytes", self.counters.bytes),
            ("queued_bytes", UInt64(self.scheduler.cost)), ("dropped_no_route", self.counters.noRoute),
            ("dropped_not_allowed", self.counters.notAllowed), ("dropped_queue_full", drops.full),
            ("dropped_too_old", drops.tooOld), ("dropped_channel_ended", drops.ended), ("waits_rate", waits.rate),
            ("waits_link", waits.link),
        ]
        var metadata: Logger.Metadata = ["event": "bridge.stats"]
        for (key, value) in values { metadata[key] = .stringConvertible(value) }
        return metadata
    }

    // MARK: Sending

    /// Once for all that one turn of the event loop brings.
    private func scheduleDrain() {
        guard !self.isScheduled else { return }
        self.isScheduled = true
        self.eventLoop.assumeIsolated().execute {
            self.isScheduled = false
            self.drain()
        }
    }

    private func drain() {
        let now = self.eventLoop.now
        while let (destination, bridge) = self.scheduler.next(
            at: now, hasRoom: { self.connection($0)?.hasBridgeRoom ?? false })
        {
            guard let connection = self.connection(destination) else { continue }
            connection.sendBridge(bridge)
            self.unflushed[destination] = connection
            self.counters.datagrams += UInt64(bridge.datagramCount)
            self.counters.bytes += UInt64(bridge.datagrams.readableBytes)
        }
        let unflushed = self.unflushed
        self.unflushed.removeAll(keepingCapacity: true)
        for connection in unflushed.values { connection.flushBridge() }
        self.armTimer()
    }

    private func armTimer() {
        guard let next = self.scheduler.nextDeadline else { return }
        // Not for every datagram: what becomes due in a millisecond goes together.
        let deadline = max(next, self.eventLoop.now + .milliseconds(1))
        if let timer = self.timer, timer.at <= deadline { return }
        self.timer?.timer.cancel()
        let timer = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.timer = nil
            self.drain()
        }
        self.timer = (deadline, timer)
    }
}

@available(*, unavailable)
extension BridgeForwarder: Sendable {}
