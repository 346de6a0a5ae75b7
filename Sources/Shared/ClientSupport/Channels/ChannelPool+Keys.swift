import AgentChoice
import Basics
import NIOCore
import PeerChannel

/// Agents are known by their keys (`--known-agents`).
extension ChannelPool {
    /// What has a say in the key of an agent that is about to get a channel.
    func keyCheck(of agent: Agent, _ id: ChannelID) -> PeerKeyCheck? {
        self.keyGuard.map { keyGuard in
            PeerKeyCheck(
                objection: { keyGuard.objection(to: $0, of: agent.name) },
                proved: { [weak self] key in
                    self?.channels[id]?.key = key
                    return keyGuard.proved(key, of: agent.name)
                })
        }
    }

    /// Closes what leads to an agent whose key is no longer a known one.
    func closeUnknown() {
        guard let keyGuard = self.keyGuard else { return }
        keyGuard.forget()
        for channel in self.channels.values {
            guard let key = channel.key, !keyGuard.knows(key, of: channel.agent.name) else { continue }
            channel.channel.close(reason: "the agent's key is none of the known ones any more")
        }
    }
}
