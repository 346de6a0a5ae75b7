import AppProto
import NIOCore
import PeerChannel
import Signaling

/// Peer signalling over the control connection.
struct SignalPeering: ClientPeerSignaling {
    let client: SignalClient

    /// The server gives the agent its time, and then answers itself; this is for a server that doesn't.
    private static let timeout = TimeAmount.seconds(15)

    func openPeer(_ offer: OpenPeer) -> EventLoopFuture<OpenPeerReply> {
        self.client.request(.openPeer(offer), timeout: Self.timeout).flatMapThrowing { answer in
            guard case .openPeerReply(let reply) = answer else { throw SignalError.unexpectedAnswer }
            return reply
        }.flatMapErrorThrowing { error in
            // There are words of our own for that.
            if case SignalError.failure(let failure) = error, failure.code == .clientUnknown { throw failure }
            throw error
        }
    }

    func restartPeer(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply> {
        self.client.request(.restartPeer(restart), timeout: Self.timeout).flatMapThrowing { answer in
            guard case .restartPeerReply(let reply) = answer else { throw SignalError.unexpectedAnswer }
            return reply
        }.flatMapErrorThrowing { error in
            // What the other side says of it decides what becomes of the channel.
            if case SignalError.failure(let failure) = error { throw failure }
            throw error
        }
    }

    func sendEvent(_ event: Envelope.Body) { self.client.sendEvent(event) }
    func sendBridge(_ bridge: Bridge) { self.client.sendBridge(bridge) }
}
