import Basics
import AppProto

/// What `GET /pub/sessions` answers: the registered agents, those that clients prefer first.
struct SessionsDocument {
    let agents: [AgentInfo]

    /// `{"sessions":[{"name":…,"instance_id":…,"expire_at_ms":…,"address":…,"software":…,"labels":{…},"mapping":…,
    /// "fingerprint":…,"key_kept":…,"key_listed":…}]}`; `expire_at_ms` is Unix time in milliseconds, or null for a
    /// registration that never expires; `mapping` is what the agent has found out about its NAT, in the words of
    /// `MappingBehavior`; `fingerprint` names the key that it has proved, `SHA256:…`, or is null for an agent without identity;
    /// `key_listed` is true at a server with `--authorized-keys`, and else null.
    var json: JSON {
        ["sessions": .array(self.agents.map(Self.session))]
    }

    private static func session(_ agent: AgentInfo) -> JSON {
        [
            "name": .string(agent.name),
            "instance_id": .string(agent.instanceID.rawValue),
            "expire_at_ms": agent.expireAtMilliseconds == 0 ? .null : .unsigned(agent.expireAtMilliseconds),
            "address": .string(agent.address),
            "software": .string(agent.software),
            "labels": .object(agent.labels.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) }),
            "mapping": .string(agent.mapping.description),
            "fingerprint": agent.key.map { JSON.string("\($0)") } ?? .null,
            "key_kept": .boolean(agent.key?.isKept ?? false),
            "key_listed": agent.isKeyListed ? .boolean(true) : .null,
        ]
    }
}
