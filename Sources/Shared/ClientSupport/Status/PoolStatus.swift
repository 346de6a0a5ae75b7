package import Admin
package import AgentChoice
package import Basics
package import PeerChannel
package import PeerSupport

/// The channels of a pool at one moment.
package struct PoolStatus: Sendable {
    /// One channel, or an attempt at one.
    package struct Channel: Sendable {
        package enum Use: String, Sendable {
            /// It takes new work.
            case current
            /// It is being opened.
            case opening
            /// It keeps the work that it has.
            case kept
        }

        package let agent: Agent
        package let use: Use
        /// What the agent has proved; nil before that, and without `--known-agents`.
        package let key: CertificateFingerprint?
        package let status: ChannelStatus

        package var json: JSON {
            .object(
                [
                    .init("agent", .string(self.agent.name)), .init("instance_id", .string(self.agent.key.instance)),
                    .init("use", .string(self.use.rawValue)),
                ] + self.keyMembers + self.status.members)
        }

        /// The agent's key, which is a known one then.
        fileprivate var keyMembers: [JSON.Member] {
            self.key.map { [.init("identity", .string("\($0)")), .init("known", .boolean(true))] } ?? []
        }
    }

    /// The one in use comes first.
    package let channels: [Channel]
    /// Why the agent in use is the one.
    package let reason: String?
    /// Why there is none.
    package let obstacle: String?
    package let totals: ChannelTotals

    /// The channel that takes new work.
    package var current: Channel? { self.channels.first.flatMap { $0.use == .current ? $0 : nil } }

    /// What the program cannot do without; nil when it is there.
    package var trouble: String? { self.current == nil ? self.obstacle ?? "no channel to an agent yet" : nil }

    /// The agent in use; null for none.
    package var agent: JSON {
        guard let current else { return .null }
        var members: [JSON.Member] = [
            .init("name", .string(current.agent.name)), .init("instance_id", .string(current.agent.key.instance)),
            .init("because", JSON(self.reason)), .init("expire_at_ms", JSON(current.agent.expiry)),
        ]
        members += current.keyMembers + current.status.members
        return .object(members)
    }
}

extension ChannelPool {
    /// As it is now. On its event loop.
    package func status(_ clock: StatusClock) -> PoolStatus {
        let current = self.choice.serving
        let channels = self.channels.sorted {
            ($0.key != current ? 1 : 0, $0.key.rawValue) < ($1.key != current ? 1 : 0, $1.key.rawValue)
        }
        var totals = self.past
        for channel in self.channels.values { totals += channel.channel.totals }
        return PoolStatus(
            channels: channels.map { id, channel in
                PoolStatus.Channel(
                    agent: channel.agent, use: id == current ? .current : channel.hasStood ? .kept : .opening,
                    key: channel.key,
                    status: ChannelStatus(channel.channel, id: "\(channel.channel.peerID)", clock))
            },
            reason: current.flatMap { self.channels[$0] }.map { self.reason(for: $0.agent) },
            obstacle: current == nil ? self.obstacle : nil, totals: totals)
    }

    /// Why `agent` is in use, of those that the server told of last.
    private func reason(for agent: Agent) -> String {
        let candidates = self.agents.filter { self.choice.pattern.matches($0.name) }
        guard candidates.contains(where: { $0.key == agent.key }) else {
            return "it was chosen before the server lost it"
        }
        guard candidates.count > 1 else { return "it is the only one that matches" }
        let isBest = candidates.allSatisfy { ($0.expiry ?? .max) <= (agent.expiry ?? .max) }
        guard isBest else { return "it works, and was chosen before others came or after they failed" }
        let what = agent.expiry == nil ? "it never expires" : "it expires last"
        return "\(what), of \(candidates.count) that match"
    }
}
