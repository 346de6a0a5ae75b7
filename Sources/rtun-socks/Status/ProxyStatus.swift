import Admin
import Basics
import ClientSupport
import FlowLedger
import PeerSupport

/// What the proxy tells of itself at one moment.
struct ProxyStatus: ProgramStatus {
    /// Where it listens.
    var listening: [String]
    var pattern: String
    var control: ControlStatus
    var pool: PoolStatus
    var flows: FlowsStatus
    /// Clients that are connected.
    var clients: Int
    var maximumConnections: Int
    var refusals: [ClientRefusals.Reason: UInt64]
    /// Datagrams of clients that were dropped here.
    var drops: [DatagramDrops.Reason: UInt64]

    var readiness: Readiness { self.pool.trouble.map { .notReady($0) } ?? .ready }
    var traffic: FlowTraffic { self.flows.traffic }

    /// The kinds of what clients ask for.
    private static let kinds: [FlowOrigin.Kind] = [.socks4, .socks5, .http, .udp]

    func members(_ rates: Rates) -> [JSON.Member] {
        [
            .init("listening", JSON(self.listening)),
            self.control.member,
            .init("agents", .string(self.pattern)),
            .init("agent", self.pool.agent),
            .init("channels_total", .integer(Int64(self.pool.channels.count))),
            .init("channels", .array(self.pool.channels.map(\.json))),
            .init("clients", .integer(Int64(self.clients))),
            .init("max_connections", .integer(Int64(self.maximumConnections))),
            .init(
                "refused_clients",
                .object(ClientRefusals.Reason.allCases.map { .init($0.rawValue, .unsigned(self.refusals[$0] ?? 0)) })),
            .init(
                "dropped_datagrams",
                .object(DatagramDrops.Reason.allCases.map { .init($0.rawValue, .unsigned(self.drops[$0] ?? 0)) })),
        ] + self.flows.members
    }

    func addMetrics(to metrics: inout Metrics) {
        self.control.addMetrics(to: &metrics)
        metrics.addChannels(self.pool.channels.map(\.status), self.pool.totals)
        metrics.addRoundTrips(self.pool.channels)
        self.flows.addMetrics(to: &metrics, kinds: Self.kinds)
        metrics.gauge("rtun_clients", "Clients that are connected.", self.clients)
        metrics.counter(
            "rtun_refused_clients_total",
            "Clients that were turned away: login, a wrong one; method, no way to log in that is offered; http, no request "
                + "for a proxy; version, neither SOCKS nor HTTP; request, one that cannot be served.",
            by: "reason", ClientRefusals.Reason.allCases.map { ($0.rawValue, self.refusals[$0] ?? 0) })
        metrics.counter(
            "rtun_dropped_datagrams_total", "Datagrams of SOCKS clients that were dropped here, by reason.",
            by: "reason",
            DatagramDrops.Reason.allCases.map { ($0.rawValue, self.drops[$0] ?? 0) })
        metrics.gauge(
            "rtun_connections_limit", "Clients that may be connected at once (--max-connections).",
            self.maximumConnections)
    }

    /// Which agent is in use and why, how it is reached, and what is open through it.
    static let layout = StatusLayout(
        name: "agent.name", plot: "Traffic",
        facts: [
            .init("Agent", "agent.name"),
            .init("Because", "agent.because"),
            .init("Path", "agent.path", .path),
            .init("Remote", "agent.remote"),
            .init("RTT", "agent.rtt_ms", .milliseconds),
            .init("Connected for", "agent.since_ms", .since),
            .init("Listening", "listening", .list),
            .init("Server", "server.url"),
            .init("Server connected", "server.connected", .flag),
            .init("Agents wanted", "agents"),
            .init("Open connections", "flows_total", .count),
            .init("Traffic", "traffic.bytes", .traffic),
        ],
        tables: [
            .flows(
                empty: "No connection is open.",
                [
                    .init("Target", "target"), .init("Client", "client"), .init("Kind", "kind"),
                    .init("Agent", "agent"), .init("Path", "path", .path), .init("Open for", "since_ms", .since),
                    .init("Bytes", "bytes", .traffic),
                ]),
            .init(
                "Channels", "channels", empty: "No channel to an agent.",
                [
                    .init("Agent", "agent"), .init("Use", "use"), .init("Path", "path", .path),
                    .init("Remote", "remote"), .init("RTT", "rtt_ms", .milliseconds),
                    .init("Open for", "since_ms", .since),
                ]),
        ],
        counters: [.init("Wrong logins", "refused_clients.login", .count)] + .endedFlows
            + DatagramDrops.Reason.allCases.map {
                .init("Dropped: \($0.rawValue)", "dropped_datagrams.\($0.rawValue)", .count)
            })
}
