package import Admin
package import Basics
package import FlowLedger

/// The connections and flows of a program at one moment, put together from its event loops.
package struct FlowsStatus: Sendable {
    /// So many of those that are open are told of.
    package static let listLimit = 200

    /// One that is open.
    package struct Flow: Sendable {
        let record: FlowRecord
        /// Unix time in milliseconds.
        let since: UInt64

        package init(_ record: FlowRecord, _ clock: StatusClock) {
            self.record = record
            self.since = clock.unixTime(of: record.openedAt)
        }

        fileprivate var json: JSON {
            [
                "kind": .string(self.record.origin.kind.rawValue), "client": .string(self.record.origin.client),
                "target": .string(self.record.target), "resolved": JSON(self.record.resolved),
                "agent": JSON(self.record.agent), "path": JSON(self.record.path),
                "connected": .boolean(self.record.connectedAt != nil), "since_ms": .unsigned(self.since),
                "bytes": self.record.traffic.json,
            ]
        }
    }

    /// Of flows that have ended and, for bytes, of those that are open.
    package var totals: [FlowOrigin.Kind: FlowLedger.Totals] = [:]
    package var open: [FlowOrigin.Kind: Int] = [:]
    /// Those that have been open longest, as many as are told of.
    package var flows: [Flow] = []

    package init() {}

    /// What a ledger has. On its event loop.
    package init(_ ledger: FlowLedger, _ clock: StatusClock) {
        self.totals = ledger.totals
        self.open = ledger.openCounts
        self.flows = ledger.openFlows(limit: Self.listLimit).map { Flow($0, clock) }
    }

    /// Adds flows that are open and that no ledger keeps: `count` of them, some of which are `flows`.
    package mutating func add(_ kind: FlowOrigin.Kind, count: Int, traffic: FlowTraffic, flows: [Flow]) {
        guard count > 0 else { return }
        self.open[kind, default: 0] += count
        self.totals[kind, default: FlowLedger.Totals()].traffic += traffic
        self.flows += flows
    }

    /// Adds those of another event loop.
    package static func += (all: inout FlowsStatus, part: FlowsStatus) {
        all.totals.merge(part.totals) { one, other in
            var sum = one
            sum += other
            return sum
        }
        all.open.merge(part.open) { $0 + $1 }
        all.flows += part.flows
        if all.flows.count > Self.listLimit {
            all.flows = Array(all.flows.sorted { $0.since < $1.since }.prefix(Self.listLimit))
        }
    }

    package var openCount: Int { self.open.values.reduce(0, +) }

    package var traffic: FlowTraffic { self.totals.values.reduce(into: FlowTraffic()) { $0 += $1.traffic } }

    /// How many have ended in that way, of all kinds.
    package func ended(_ outcome: FlowOutcome) -> UInt64 {
        self.totals.values.reduce(0) { $0 &+ ($1.byOutcome[outcome] ?? 0) }
    }

    /// Members of the document: `flows`, `flows_total`, `flows_ended`.
    package var members: [JSON.Member] {
        [
            .init("flows_total", .integer(Int64(self.openCount))),
            .init("flows", .array(self.flows.sorted { $0.since < $1.since }.map(\.json))),
            .init(
                "flows_ended",
                .object(FlowOutcome.allCases.map { .init($0.rawValue, .unsigned(self.ended($0))) })),
        ]
    }

    /// Adds what there is of the kinds that the program has.
    package func addMetrics(to metrics: inout Metrics, kinds: [FlowOrigin.Kind]) {
        metrics.gauge(
            "rtun_flows_open", "Connections and flows that are open, those that wait for an answer among them.",
            by: "kind",
            kinds.map { ($0.rawValue, self.open[$0] ?? 0) })
        metrics.add(
            .counter, "rtun_flows_total", "Connections and flows that have ended, by how they did.",
            kinds.flatMap { kind in
                FlowOutcome.allCases.map { outcome in
                    Metrics.Sample(
                        [.init("kind", kind.rawValue), .init("outcome", outcome.rawValue)],
                        self.totals[kind]?.byOutcome[outcome] ?? 0)
                }
            })
        metrics.add(
            .counter, "rtun_flow_bytes_total", "Bytes of payload; sent is from clients towards targets.",
            kinds.flatMap { kind in
                let traffic = self.totals[kind]?.traffic ?? FlowTraffic()
                return [("sent", traffic.sent), ("received", traffic.received)].map { direction, count in
                    Metrics.Sample([.init("kind", kind.rawValue), .init("direction", direction)], count)
                }
            })
    }
}

extension StatusLayout.Table {
    /// The open flows.
    package static func flows(_ title: String = "Open connections", empty: String, _ columns: [StatusLayout.Field])
        -> Self
    {
        .init(title, "flows", empty: empty, columns)
    }
}

extension [StatusLayout.Field] {
    /// How many flows have ended in ways that are worth knowing.
    package static var endedFlows: Self {
        [
            .init("Closed", "flows_ended.closed", .count), .init("Reset", "flows_ended.reset", .count),
            .init("Idle", "flows_ended.idle", .count), .init("Made room", "flows_ended.evicted", .count),
            .init("Cancelled", "flows_ended.cancelled", .count),
            .init("Refused by the target", "flows_ended.refused", .count),
            .init("Unreachable", "flows_ended.unreachable", .count),
            .init("Name not found", "flows_ended.name_not_found", .count),
            .init("Timed out", "flows_ended.timed_out", .count),
            .init("Refused by policy", "flows_ended.policy", .count),
            .init("At a limit", "flows_ended.limit", .count), .init("No agent", "flows_ended.no_agent", .count),
            .init("Failed", "flows_ended.failed", .count),
        ]
    }
}
