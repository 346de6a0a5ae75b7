package import NIOCore

/// Every connection and flow of one event loop: those that are open, and how many have ended in which way.
///
/// Costs nothing while bytes flow: what has passed is asked for when somebody wants to know. It has no clock and no I/O.
package final class FlowLedger {
    /// Names an open flow, for as long as the program runs.
    package struct FlowID: Hashable, Comparable, Sendable {
        package let rawValue: UInt64

        package static func < (one: FlowID, other: FlowID) -> Bool { one.rawValue < other.rawValue }
    }

    /// What to ask an open flow for.
    package struct Look {
        package var traffic: FlowTraffic
        package var path: String?

        package init(traffic: FlowTraffic, path: String?) {
            self.traffic = traffic
            self.path = path
        }
    }

    /// What has become of the flows of one kind.
    package struct Totals: Hashable, Sendable {
        package var byOutcome: [FlowOutcome: UInt64] = [:]
        package var traffic = FlowTraffic()

        package init() {}

        package static func += (total: inout Totals, part: Totals) {
            total.byOutcome.merge(part.byOutcome) { $0 &+ $1 }
            total.traffic += part.traffic
        }
    }

    private struct OpenFlow {
        var record: FlowRecord
        /// Nil before there is a connection.
        var look: (() -> Look)?

        /// The record as of now.
        var current: FlowRecord {
            guard let look = self.look?() else { return self.record }
            var record = self.record
            record.traffic = look.traffic
            record.path = look.path ?? record.path
            return record
        }
    }

    /// Hears of each flow that has ended, and when: the access log.
    package var ended: ((FlowRecord, FlowOutcome, NIODeadline) -> Void)?

    private var flows: [FlowID: OpenFlow] = [:]
    private var nextID: UInt64 = 1
    private var past: [FlowOrigin.Kind: Totals] = [:]

    package init() {}

    /// How many are open, with those that have no connection yet.
    package var count: Int { self.flows.count }

    /// A client wants a connection.
    package func open(_ origin: FlowOrigin, to target: String, at now: NIODeadline) -> FlowID {
        let id = FlowID(rawValue: self.nextID)
        self.nextID += 1
        self.flows[id] = OpenFlow(record: FlowRecord(origin, target: target, openedAt: now))
        return id
    }

    /// It has the connection. `look` is called when somebody wants to know of it, and for the last time when it ends.
    package func connected(
        _ id: FlowID, resolved: String?, agent: String?, at now: NIODeadline, look: @escaping () -> Look
    ) {
        guard var flow = self.flows.removeValue(forKey: id) else { return }
        flow.record.resolved = resolved
        flow.record.agent = agent
        flow.record.connectedAt = now
        flow.look = look
        self.flows[id] = flow
    }

    /// It is over. A second end of the same flow is none.
    package func end(_ id: FlowID, _ outcome: FlowOutcome, at now: NIODeadline) {
        guard let flow = self.flows.removeValue(forKey: id) else { return }
        self.count(flow.current, outcome, at: now)
    }

    /// A flow is over that was not opened here: its owner keeps its own account of those that are open.
    package func count(_ record: FlowRecord, _ outcome: FlowOutcome, at now: NIODeadline) {
        var totals = self.past.removeValue(forKey: record.origin.kind) ?? Totals()
        totals.byOutcome[outcome, default: 0] += 1
        totals.traffic += record.traffic
        self.past[record.origin.kind] = totals
        self.ended?(record, outcome, now)
    }

    /// The open flows as of now, the longest open first; at most `limit`.
    package func openFlows(limit: Int) -> [FlowRecord] {
        self.flows.sorted { $0.key < $1.key }.prefix(limit).map(\.value.current)
    }

    /// How many are open of each kind.
    package var openCounts: [FlowOrigin.Kind: Int] {
        self.flows.values.reduce(into: [:]) { $0[$1.record.origin.kind, default: 0] += 1 }
    }

    /// All there has been, with the bytes of flows that are open.
    package var totals: [FlowOrigin.Kind: Totals] {
        var totals = self.past
        for flow in self.flows.values {
            totals[flow.record.origin.kind, default: Totals()].traffic += flow.current.traffic
        }
        return totals
    }
}

@available(*, unavailable)
extension FlowLedger: Sendable {}
