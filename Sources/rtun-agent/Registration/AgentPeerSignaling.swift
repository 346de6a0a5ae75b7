import AppProto
import PeerChannel
import Signaling

/// What an agent's peer channels say to their clients by way of the server.
struct AgentPeerSignaling: PeerSignaling {
    let client: SignalClient

    func sendEvent(_ event: Envelope.Body) { self.client.sendEvent(event) }
    func sendBridge(_ bridge: Bridge) { self.client.sendBridge(bridge) }
}
