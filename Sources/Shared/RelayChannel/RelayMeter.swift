import CommandSupport
package import Logging
package import NIOCore
package import UDPRelay

/// What one end of a relay counts and tells, and what it lets through: the same at both. Belongs to an event loop.
package struct RelayMeter {
    package var statistics = RelayStatistics()
    /// Its metadata says which end of which relay it is.
    package let logger: Logger
    /// Most flows at a time.
    package let maximumFlows: Int
    private let drops: DropLog<RelayDropReason>
    private let evictions: DropLog<FlowEvictionReason>
    private var flowRate = FlowRate()

    package init(maximumFlows: Int, eventLoop: any EventLoop, logger: Logger) {
        self.logger = logger
        self.maximumFlows = maximumFlows
        self.drops = DropLog(eventLoop: eventLoop, logger: logger)
        self.evictions = DropLog(
            eventLoop: eventLoop, logger: logger, message: "flows ended to make room", event: "flow.evicted")
    }

    /// A datagram was dropped. `details`: what is worth knowing of it, beyond the reason.
    package mutating func drop(_ reason: RelayDropReason, _ details: @autoclosure () -> Logger.Metadata = [:]) {
        self.statistics[reason] += 1
        self.drops.dropped(reason, details())
    }

    /// Whether a payload of `size` bytes may pass; one that is too large has been dropped.
    package mutating func permits(size: Int, limit: Int) -> Bool {
        guard size > limit else { return true }
        self.drop(.oversize, ["size": .stringConvertible(size), "limit": .stringConvertible(limit)])
        return false
    }

    /// A datagram would have opened one flow too many.
    package mutating func dropForFlowLimit() {
        let limit = self.maximumFlows
        self.drop(.flowLimit, ["limit": .stringConvertible(limit)])
    }

    /// Whether another flow may be opened by now; if not, its datagram has been dropped.
    package mutating func permitsFlow(at now: NIODeadline) -> Bool {
        if self.flowRate.take(at: now) { return true }
        self.drop(.flowRate, ["limit": "\(FlowRate.perSecond)/s"])
        return false
    }

    /// `more`: what is known of it besides.
    package mutating func flowOpened(_ flow: FlowID, _ more: @autoclosure () -> Logger.Metadata = [:]) {
        self.statistics.flowsOpened += 1
        self.logger.debug("flow opened", metadata: Self.metadata("flow.opened", flow).merging(more()) { $1 })
    }

    package func flowClosed(_ flow: FlowID, reason: String) {
        self.logger.debug(
            "flow closed", metadata: Self.metadata("flow.closed", flow).merging(["reason": "\(reason)"]) { $1 })
    }

    /// All flows of a channel are over.
    package func flowsClosed(count: Int, reason: String) {
        guard count > 0 else { return }
        self.logger.debug(
            "flows closed",
            metadata: ["event": "flow.closed", "count": .stringConvertible(count), "reason": "\(reason)"])
    }

    /// A flow is ended that was in nobody's way by itself.
    package func flowEvicted(_ flow: FlowID, _ reason: FlowEvictionReason) {
        self.evictions.dropped(reason, ["limit": .stringConvertible(self.maximumFlows)])
        self.flowClosed(flow, reason: "ended to make room")
    }

    private static func metadata(_ event: String, _ flow: FlowID) -> Logger.Metadata {
        ["event": "\(event)", "flow": .stringConvertible(flow.rawValue)]
    }
}

@available(*, unavailable)
extension RelayMeter: Sendable {}
