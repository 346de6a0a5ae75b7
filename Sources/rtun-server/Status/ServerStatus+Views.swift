import Admin
import Basics
import FlowLedger

extension ServerStatus {
    func members(_ rates: Rates) -> [JSON.Member] {
        var members: [JSON.Member] = [
            .init("listening", JSON(self.listening.map { "\($0.scheme)://\($0.address)" })),
            .init("connections", .integer(Int64(self.connectionCount))),
            .init("agents_total", .integer(Int64(self.agentCount))),
            .init("agents", .array(self.agents.map(\.json))),
            .init("clients_total", .integer(Int64(self.clientCount))),
            .init("clients", .array(self.clients.map(\.json))),
            .init("channels_total", .integer(Int64(self.channelCount))),
            .init("channels", .array(self.channels.map { $0.json(rates) })),
            .init(
                "handshakes",
                [
                    "proved": .unsigned(self.handshakes.proved), "refused": .unsigned(self.handshakes.refused),
                    "throttled": .unsigned(self.handshakes.throttled), "failed": .unsigned(self.handshakes.failed),
                ]),
        ]
        if let keys { members.append(.init("authorized_keys", keys.json)) }
        if let bridge { members.append(.init("bridge", bridge.json)) }
        if let certificate { members.append(.init("certificate", certificate.json)) }
        return members
    }

    func addMetrics(to metrics: inout Metrics) {
        metrics.gauge("rtun_agents", "Agents in the registry.", self.agentCount)
        metrics.gauge("rtun_clients", "Clients with a control connection.", self.clientCount)
        metrics.gauge("rtun_channels", "Peer channels that the server knows of.", self.channelCount)
        metrics.gauge(
            "rtun_connections", "TCP connections and QUIC sessions, those without a proof of the secret among them.",
            self.connectionCount)
        metrics.counter(
            "rtun_handshakes_total",
            "Handshakes of agents and clients by outcome: proved; refused, a wrong proof of the secret; throttled, turned "
                + "away after too many of these; failed, anything else.",
            by: "outcome",
            [
                ("proved", self.handshakes.proved), ("refused", self.handshakes.refused),
                ("throttled", self.handshakes.throttled), ("failed", self.handshakes.failed),
            ])
        if let keys {
            metrics.counter(
                "rtun_key_refusals_total",
                "Peers with the secret that --authorized-keys has kept out, by reason: key_unknown; name_not_yours, listed "
                    + "for another agent's name; without_identity, older than version 0.13.",
                by: "reason", keys.refused)
        }
        if let bridge {
            metrics.gauge(
                "rtun_bridged_channels", "Channels that the bridge has carried something for within 10 s.",
                bridge.channels)
            metrics.bytes(
                "rtun_bridge_bytes_total", "Bytes of datagrams taken for the bridge; sent is from clients to agents.",
                self.traffic)
            metrics.counter(
                "rtun_bridge_datagrams_total", "Datagrams that the bridge has delivered.", bridge.counts.datagrams)
            metrics.gauge("rtun_bridge_queued_bytes", "Bytes that wait in the bridge.", bridge.counts.queued)
            metrics.counter(
                "rtun_bridge_dropped_datagrams_total", "Datagrams that the bridge has dropped, by reason.",
                by: "reason",
                bridge.counts.drops)
        }
        if let certificate {
            metrics.gauge(
                "rtun_certificate_expiry_timestamp_seconds", "When the certificate ends, in seconds of Unix time.",
                Double(certificate.ends))
        }
    }
}

extension ServerStatus.Agent {
    fileprivate var json: JSON {
        [
            "name": .string(self.name), "instance_id": .string(self.instance), "session": .unsigned(self.session),
            "address": .string(self.address), "nat": .string(self.mapping), "software": .string(self.software),
            "labels": .object(self.labels.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) }),
            "since_ms": JSON(self.since), "expire_at_ms": JSON(self.expires),
            "channels": .integer(Int64(self.channels)),
        ]
    }
}

extension ServerStatus.Client {
    fileprivate var json: JSON {
        [
            "session": .unsigned(self.session), "address": .string(self.address), "software": .string(self.software),
            "since_ms": .unsigned(self.since), "channels": .integer(Int64(self.channels)),
        ]
    }
}

extension ServerStatus.Channel {
    fileprivate func json(_ rates: Rates) -> JSON {
        [
            "peer": .string(self.peer), "client": .string(self.client), "session": .unsigned(self.session),
            "agent": .string(self.agent), "kind": JSON(self.kind), "target": JSON(self.target),
            "since_ms": .unsigned(self.since), "bridged": .boolean(self.isBridged), "bytes": self.bridged.json,
            "rate": rates.rate(of: self.bridged, part: self.peer).json,
        ]
    }
}

extension ServerStatus.Bridge {
    fileprivate var json: JSON {
        [
            "channels": .integer(Int64(self.channels)), "datagrams": .unsigned(self.counts.datagrams),
            "queued_bytes": .integer(Int64(self.counts.queued)),
            "dropped": .object(self.counts.drops.map { .init($0.0, .unsigned($0.1)) }),
        ]
    }
}

extension ServerStatus.Keys {
    fileprivate var json: JSON {
        [
            "agents": .integer(Int64(self.agents)), "clients": .integer(Int64(self.clients)),
            "refused": .object(self.refused.map { .init($0.0, .unsigned($0.1)) }),
        ]
    }
}

extension ServerStatus.Certificate {
    fileprivate var json: JSON {
        [
            "file": .string(self.file), "fingerprint": .string(self.fingerprint),
            "ends_at_ms": .integer(self.ends.multipliedReportingOverflow(by: 1000).partialValue),
        ]
    }
}

extension ServerStatus {
    /// Who is registered, who is connected to whom, what goes over the bridge, and who was refused.
    static let layout = StatusLayout(
        plot: "Bridged traffic",
        facts: [
            .init("Listening", "listening", .list),
            .init("Agents", "agents_total", .count),
            .init("Clients", "clients_total", .count),
            .init("Channels", "channels_total", .count),
            .init("Bridged now", "bridge.channels", .count),
            .init("Bridged bytes", "traffic.bytes", .traffic),
            .init("Bridged rate", "traffic.rate", .rates),
            .init("Proofs accepted", "handshakes.proved", .count),
            .init("Proofs refused", "handshakes.refused", .count),
            .init("Certificate", "certificate.file"),
            .init("Certificate ends", "certificate.ends_at_ms", .when),
        ],
        tables: [
            .init(
                "Agents", "agents", empty: "No agent is registered.",
                [
                    .init("Name", "name"), .init("Address", "address"), .init("NAT", "nat"),
                    .init("Clients", "channels", .count), .init("Here for", "since_ms", .since),
                    .init("Expires", "expire_at_ms", .until), .init("Software", "software"),
                ]),
            .init(
                "Channels", "channels", empty: "No client is connected to an agent.",
                [
                    .init("Client", "client"), .init("Agent", "agent"), .init("Kind", "kind"),
                    .init("Target", "target"),
                    .init("Open for", "since_ms", .since), .init("Bridged", "bridged", .flag),
                    .init("Bytes", "bytes", .traffic), .init("Rate", "rate", .rates),
                ]),
            .init(
                "Clients", "clients", empty: "No client has a control connection.",
                [
                    .init("Address", "address"), .init("Session", "session", .count),
                    .init("Channels", "channels", .count),
                    .init("Here for", "since_ms", .since), .init("Software", "software"),
                ]),
        ],
        counters: [
            .init("Handshakes throttled", "handshakes.throttled", .count),
            .init("Handshakes failed", "handshakes.failed", .count),
            .init("Keys: unknown", "authorized_keys.refused.key_unknown", .count),
            .init("Keys: another's name", "authorized_keys.refused.name_not_yours", .count),
            .init("Keys: none", "authorized_keys.refused.without_identity", .count),
            .init("Bridge: no route", "bridge.dropped.no_route", .count),
            .init("Bridge: not allowed", "bridge.dropped.not_allowed", .count),
            .init("Bridge: queue full", "bridge.dropped.queue_full", .count),
            .init("Bridge: too old", "bridge.dropped.too_old", .count),
            .init("Bridge: channel ended", "bridge.dropped.channel_ended", .count),
        ])
}
