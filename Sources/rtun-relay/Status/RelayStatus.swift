import Admin
import Basics
import ClientSupport
import FlowLedger
import PeerChannel
import PeerSupport
import UDPRelay

/// What the relay tells of itself at one moment.
struct RelayStatus: ProgramStatus {
    /// One rule at work.
    struct Rule: Sendable {
        var kind: FlowOrigin.Kind
        /// What names it among the others.
        var id: String
        /// Where it listens.
        var listening: String
        var target: String
        var pool: PoolStatus
        /// Those that are open.
        var flowCount: Int
        /// Datagrams that wait for a channel.
        var waiting: Int
        var traffic: FlowTraffic
        var drops: [RelayDropReason: UInt64]
        var flows: FlowsStatus
    }

    var pattern: String
    var control: ControlStatus
    var rules: [Rule]

    var readiness: Readiness {
        let idle = self.rules.filter { $0.pool.current == nil }
        guard let first = idle.first else { return .ready }
        let more = idle.count > 1 ? " (and \(idle.count - 1) more)" : ""
        return .notReady("the rule on \(first.listening)\(more) has no agent: \(first.pool.trouble ?? "")")
    }

    var traffic: FlowTraffic { self.rules.reduce(into: FlowTraffic()) { $0 += $1.traffic } }

    private var flows: FlowsStatus { self.rules.reduce(into: FlowsStatus()) { $0 += $1.flows } }

    private func dropped(_ reason: RelayDropReason) -> UInt64 {
        self.rules.reduce(0) { $0 &+ ($1.drops[reason] ?? 0) }
    }

    func members(_ rates: Rates) -> [JSON.Member] {
        [
            self.control.member,
            .init("agents", .string(self.pattern)),
            .init("rules_total", .integer(Int64(self.rules.count))),
            .init("rules", .array(self.rules.map { $0.json(rates) })),
            .init(
                "dropped_datagrams",
                .object(RelayDropReason.allCases.map { .init($0.rawValue, .unsigned(self.dropped($0))) })),
        ] + self.flows.members
    }

    func addMetrics(to metrics: inout Metrics) {
        self.control.addMetrics(to: &metrics)
        metrics.gauge("rtun_rules", "Rules (-L).", self.rules.count)
        metrics.gauge(
            "rtun_rules_with_agent", "Rules that have a channel to an agent.",
            self.rules.count { $0.pool.current != nil })
        let channels = self.rules.flatMap(\.pool.channels)
        metrics.addChannels(
            channels.map(\.status), self.rules.reduce(into: ChannelTotals()) { $0 += $1.pool.totals })
        metrics.addRoundTrips(channels)
        self.flows.addMetrics(to: &metrics, kinds: [.tcp, .udp])
        metrics.gauge(
            "rtun_waiting_datagrams", "Datagrams that wait for a channel to an agent.",
            self.rules.reduce(0) { $0 + $1.waiting })
        metrics.counter(
            "rtun_dropped_datagrams_total", "Datagrams that were dropped, by reason.", by: "reason",
            RelayDropReason.allCases.map { ($0.rawValue, self.dropped($0)) })
    }

    /// Which rule goes to which agent and how, with what it carries and drops.
    static let layout = StatusLayout(
        plot: "Traffic",
        facts: [
            .init("Server", "server.url"),
            .init("Server connected", "server.connected", .flag),
            .init("Agents wanted", "agents"),
            .init("Rules", "rules_total", .count),
            .init("Open flows", "flows_total", .count),
            .init("Traffic", "traffic.bytes", .traffic),
        ],
        tables: [
            .init(
                "Rules", "rules", empty: "No rule.",
                [
                    .init("Listening", "listening"), .init("Kind", "kind"), .init("Target", "target"),
                    .init("Agent", "agent.name"), .init("Path", "agent.path", .path),
                    .init("RTT", "agent.rtt_ms", .milliseconds), .init("Flows", "flows", .count),
                    .init("Dropped", "dropped", .count), .init("Rate", "rate", .rates),
                    .init("Bytes", "bytes", .traffic),
                ]),
            .flows(
                "Open flows", empty: "No flow is open.",
                [
                    .init("Client", "client"), .init("Target", "target"), .init("Kind", "kind"),
                    .init("Agent", "agent"), .init("Path", "path", .path), .init("Open for", "since_ms", .since),
                    .init("Bytes", "bytes", .traffic),
                ]),
        ],
        counters: RelayDropReason.allCases.map {
            .init("Dropped: \($0.rawValue)", "dropped_datagrams.\($0.rawValue)", .count)
        } + .endedFlows)
}

extension RelayStatus.Rule {
    fileprivate func json(_ rates: Rates) -> JSON {
        [
            "kind": .string(self.kind.rawValue), "listening": .string(self.listening), "target": .string(self.target),
            "agent": self.pool.agent, "no_agent_because": JSON(self.pool.trouble),
            "channels": .array(self.pool.channels.map(\.json)),
            "flows": .integer(Int64(self.flowCount)), "waiting_datagrams": .integer(Int64(self.waiting)),
            "dropped": .unsigned(self.drops.values.reduce(0, &+)),
            "bytes": self.traffic.json, "rate": rates.rate(of: self.traffic, part: self.id).json,
        ]
    }
}
