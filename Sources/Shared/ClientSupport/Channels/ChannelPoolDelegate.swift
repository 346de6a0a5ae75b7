package import AgentChoice
package import PeerChannel

/// A channel that takes work, as those who use it know it.
package struct AgentChannel<Carrier: PeerCarrier> {
    package let id: ChannelID
    package let agent: Agent
    package let carrier: Carrier
}

/// Uses the channels of a ``ChannelPool``, on its event loop.
package protocol ChannelPoolDelegate<Carrier>: AnyObject {
    associatedtype Carrier: PeerCarrier

    /// Makes the carrier of a channel that has found a path.
    func makeCarrier(_ context: PeerCarrierContext) throws -> Carrier
    /// New work goes to this channel from now on.
    func serves(_ channel: AgentChannel<Carrier>)
    /// What waits for an answer on this channel should look for another one.
    func doubts(_ channel: ChannelID)
    /// A channel that stood is over.
    func closed(_ channel: AgentChannel<Carrier>)
    /// An agent that has a channel is no longer registered; the channel may well work.
    func agentGone(_ agent: AgentKey)
}

extension ChannelPoolDelegate {
    package func doubts(_ channel: ChannelID) {}
    package func agentGone(_ agent: AgentKey) {}
}
