package import Basics
package import AppProto
import CommandSupport
import NIOCore
package import PeerChannel
import Signaling

/// Which agents a client may use, and how it will reach them.
package struct AgentsReport: Sendable {
    /// What is known of this side.
    package struct Client: Sendable {
        /// As the server sees the control connection, `ip:port`.
        let observedAddress: String
        let serverIsLoopback: Bool
        let mapping: MappingBehavior
        /// Outside addresses that STUN servers see.
        let mappedAddresses: [SocketAddress]

        package init(
            observedAddress: String, serverIsLoopback: Bool, mapping: MappingBehavior, probe: MappingProbe.Report?
        ) {
            self.observedAddress = observedAddress
            self.serverIsLoopback = serverIsLoopback
            self.mapping = mapping
            self.mappedAddresses = (probe?.answers ?? []).compactMap {
                if case .mapped(let address) = $0.outcome { address } else { nil }
            }
        }
    }

    /// What a client thinks of an agent's key.
    package struct KeyJudgement: Sendable {
        /// In one word.
        let word: String
        /// Why the agent is not used; nil: it is.
        let refusal: String?

        package init(word: String, refusal: String?) {
            self.word = word
            self.refusal = refusal
        }
    }

    let pattern: String
    /// Those that match, in the order in which a client prefers them.
    let agents: [AgentInfo]
    /// All that are registered.
    let count: Int
    let client: Client
    /// Whether the client takes no direct path (`--p2p bridge`).
    let bridgeAlone: Bool
    /// Whether it takes part in a spread (`--p2p-spread`).
    let guessesPorts: Bool
    /// By instance; empty where any key will do.
    private let judgements: [InstanceID: KeyJudgement]

    package init(
        pattern: String, agents: [AgentInfo], count: Int, client: Client,
        bridgeAlone: Bool = false, guessesPorts: Bool = true, judge: ((AgentInfo) -> KeyJudgement)? = nil
    ) {
        self.judgements =
            judge.map { judge in
                Dictionary(agents.map { ($0.instanceID, judge($0)) }) { $1 }
            } ?? [:]
        self.pattern = pattern
        self.agents = agents
        self.count = count
        self.client = client
        self.bridgeAlone = bridgeAlone
        self.guessesPorts = guessesPorts
    }

    /// More than these are counted only.
    private static let maximumShown = 20

    /// Of those that may be used.
    package var predictions: [PathPrediction] { self.usableAgents.map(self.prediction) }

    /// Those that match and are not refused for their keys.
    var usableAgents: [AgentInfo] { self.agents.filter { self.judgements[$0.instanceID]?.refusal == nil } }

    /// Whether there are agents that match, and none that may be used.
    var isEveryKeyRefused: Bool { !self.agents.isEmpty && self.usableAgents.isEmpty }

    package var items: [CheckItem] {
        guard !self.agents.isEmpty else {
            return [
                CheckItem(
                    .failed, "agents",
                    "none of \(self.count) registered \(self.count == 1 ? "matches" : "match") \(self.pattern)",
                    advice: self.count == 0
                        ? "start rtun-agent, with the same server and secret"
                        : "check --agent; --list-agents shows all names")
            ]
        }
        let summary = CheckItem(
            .ok, "agents", "\(self.agents.count) of \(self.count) registered match \(self.pattern)")
        let shown = self.agents.prefix(Self.maximumShown).map { self.item($0, self.prediction($0)) }
        let rest = self.agents.count - shown.count
        return [summary] + shown + (rest > 0 ? [CheckItem(.ok, "agents", "and \(rest) more")] : [])
    }

    private func item(_ agent: AgentInfo, _ prediction: PathPrediction) -> CheckItem {
        let judgement = self.judgements[agent.instanceID]
        if let refusal = judgement?.refusal {
            return CheckItem(.failed, "agent", "\(agent.name): refused, key \(judgement?.word ?? ""): \(refusal)")
        }
        let key = judgement.map { "; key \($0.word)" } ?? ""
        guard !self.bridgeAlone else { return CheckItem(.ok, "agent", "\(agent.name): over the bridge\(key)") }
        return CheckItem(
            prediction.likelihood == .unlikely ? .warning : .ok, "agent",
            "\(agent.name): NAT \(agent.mapping); \(prediction.text)\(key)")
    }

    private func prediction(_ agent: AgentInfo) -> PathPrediction {
        PathPrediction(
            client: self.client.mapping, agent: agent.mapping, place: self.place(of: agent),
            guessesPorts: self.guessesPorts)
    }

    private func place(of agent: AgentInfo) -> PathPrediction.Place {
        guard let theirs = Self.ip(agent.address), let ours = Self.ip(self.client.observedAddress) else {
            return .apart
        }
        // Behind a reverse proxy the server sees the proxy's address as everybody's. So it must be an address that others
        // see us under, too.
        let isOurs = self.client.mappedAddresses.contains { $0.ipAddress == ours.ipAddress }
        if isOurs, theirs.ipAddress == ours.ipAddress { return .together }
        guard ours.isLoopback == self.client.serverIsLoopback else { return .apart }
        return theirs.isLoopback == ours.isLoopback ? .apart : .loopbackOfOne
    }

    private static func ip(_ text: String) -> SocketAddress? {
        (try? HostPort(parsing: text)).flatMap { try? SocketAddress(ipAddress: $0.host, port: 0) }
    }
}
