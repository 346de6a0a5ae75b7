import Admin
import Basics
import FlowLedger
import PeerSupport

extension AgentStatus {
    func members(_ rates: Rates) -> [JSON.Member] {
        [
            .init(
                "agent",
                [
                    "name": .string(self.registration.name), "instance_id": JSON(self.registration.instance),
                    "registered": .boolean(self.control.isConnected), "since_ms": JSON(self.registration.since),
                    "expire_at_ms": JSON(self.registration.expires), "nat": JSON(self.registration.mapping),
                ]),
            self.control.member,
            .init(
                "limits",
                [
                    "peers": .integer(Int64(self.limits.peers)), "streams": .integer(Int64(self.limits.streams)),
                    "streams_used": .integer(Int64(self.limits.usedStreams)),
                    "flows": .integer(Int64(self.limits.flows)), "flows_used": .integer(Int64(self.limits.usedFlows)),
                ]),
            .init("peers_total", .integer(Int64(self.part.peers.count))),
            .init("peers", .array(self.part.peers.map { $0.json(rates) })),
            .init(
                "policy_refusals",
                .array(
                    self.refusals.map {
                        ["target": .string($0.target), "count": .unsigned($0.count), "last_ms": .unsigned($0.last)]
                    })),
            .init("refused_relays", .unsigned(self.refusedRelays)),
            .init("clients", .integer(Int64(self.clients))),
            .init(
                "refused_offers",
                .object(
                    PeerRefusal.Reason.allCases.map { .init($0.rawValue, .unsigned(self.refusedOffers[$0] ?? 0)) })),
            .init(
                "dropped_datagrams",
                .object(DropReason.all.map { .init($0.rawValue, .unsigned(self.part.drops[$0] ?? 0)) })),
        ] + self.part.flows.members
    }

    func addMetrics(to metrics: inout Metrics) {
        self.control.addMetrics(to: &metrics)
        if let expires = self.registration.expires {
            metrics.gauge(
                "rtun_registration_expiry_timestamp_seconds", "When the registration ends, in seconds of Unix time.",
                Double(expires) / 1000)
        }
        metrics.addChannels(self.part.peers.map(\.channel), self.part.totals)
        let times = self.part.peers.compactMap(\.channel.roundTripTime).sorted()
        if let shortest = times.first, let longest = times.last {
            metrics.add(
                .gauge, "rtun_peer_rtt_seconds", "Round trips to the peers: the shortest, the median and the longest.",
                [("min", shortest), ("median", times[times.count / 2]), ("max", longest)].map { name, time in
                    Metrics.Sample([.init("statistic", name)], time / 1000)
                })
        }
        self.part.flows.addMetrics(to: &metrics, kinds: [.tcp, .udp])
        metrics.gauge(
            "rtun_streams_limit", "Connections that may be open at once (--max-streams).", self.limits.streams)
        metrics.gauge("rtun_flows_limit", "UDP flows that may be open at once (--max-flows).", self.limits.flows)
        metrics.gauge("rtun_peers_limit", "Peer channels that there may be at once (--max-peers).", self.limits.peers)
        metrics.gauge("rtun_peer_clients", "Clients that have peer channels.", self.clients)
        metrics.counter(
            "rtun_refused_offers_total", "Offers of peer channels that were refused at once, by reason.", by: "reason",
            PeerRefusal.Reason.allCases.map { ($0.rawValue, self.refusedOffers[$0] ?? 0) })
        metrics.counter(
            "rtun_policy_refused_relays_total", "Relays to targets that the egress policy refuses.", self.refusedRelays)
        metrics.counter(
            "rtun_dropped_datagrams_total", "Datagrams of relays and associations that were dropped, by reason.",
            by: "reason",
            DropReason.all.map { ($0.rawValue, self.part.drops[$0] ?? 0) })
    }
}

extension AgentStatus.Peer {
    fileprivate func json(_ rates: Rates) -> JSON {
        var members = self.channel.members
        switch self.kind {
        case .tunnel: members += [.init("kind", "tunnel"), .init("target", .null)]
        case .relay(let target): members += [.init("kind", "relay"), .init("target", .string(target))]
        }
        members += [
            .init("client", .string("\(self.client)")), .init("flows", .integer(Int64(self.flows))),
            .init("bytes", self.traffic.json),
            .init("rate", rates.rate(of: self.traffic, part: self.channel.peer).json),
        ]
        return .object(members)
    }
}

extension AgentStatus {
    /// Which peers there are and how they are reached, what is open for them, and what the policy refused.
    static let layout = StatusLayout(
        name: "agent.name", plot: "Traffic",
        facts: [
            .init("Agent", "agent.name"),
            .init("Server", "server.url"),
            .init("Registered", "agent.registered", .flag),
            .init("Connected for", "agent.since_ms", .since),
            .init("Expires", "agent.expire_at_ms", .until),
            .init("Seen as", "server.observed_address"),
            .init("NAT", "agent.nat"),
            .init("Peers", "peers_total", .count),
            .init("Open connections", "flows_total", .count),
            .init("Traffic", "traffic.bytes", .traffic),
        ],
        tables: [
            .init(
                "Peers", "peers", empty: "No client is connected.",
                [
                    .init("Peer", "peer"), .init("Path", "path", .path), .init("Remote", "remote"),
                    .init("RTT", "rtt_ms", .milliseconds), .init("Kind", "kind"), .init("Target", "target"),
                    .init("Open", "flows", .count), .init("Here for", "since_ms", .since),
                    .init("Rate", "rate", .rates), .init("Bytes", "bytes", .traffic), .init("Client", "client"),
                ]),
            .flows(
                empty: "No connection is open.",
                [
                    .init("Target", "target"), .init("Address", "resolved"), .init("Kind", "kind"),
                    .init("Peer", "client"), .init("Path", "path", .path), .init("Open for", "since_ms", .since),
                    .init("Bytes", "bytes", .traffic),
                ]),
            .init(
                "Refused by the policy", "policy_refusals", empty: "The policy has refused nothing.",
                [
                    .init("Target", "target"), .init("Times", "count", .count), .init("Last", "last_ms", .when),
                ]),
        ],
        counters: .endedFlows + [.init("Relays refused by policy", "refused_relays", .count)]
            + PeerRefusal.Reason.allCases.map {
                .init("Channels refused: \($0.rawValue)", "refused_offers.\($0.rawValue)", .count)
            }
            + DropReason.all.map {
                .init("Dropped: \($0.rawValue)", "dropped_datagrams.\($0.rawValue)", .count)
            })
}
