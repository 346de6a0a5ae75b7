package import AppProto
package import NIOCore
import PeerChannel

/// The control connection of tests: hands the messages of one side to the other through their wire form, in order,
/// each in a later turn of the one event loop that both sides live on.
package struct MemorySignaling: ClientPeerSignaling {
    /// What a test does to the messages on the way, and where they go.
    package final class Hub {
        package let eventLoop: any EventLoop
        /// Makes the agent's end, or fails the offer.
        package var accept: ((OpenPeer) throws -> EventLoopFuture<OpenPeerReply>)?
        package var toClient: ((Envelope.Body) -> Void)?
        package var toAgent: ((Envelope.Body) -> Void)?
        package var changeOffer: (OpenPeer) -> OpenPeer = { $0 }
        package var changeAnswer: (OpenPeerReply) -> OpenPeerReply = { $0 }
        package var restart: ((RestartPeer) -> EventLoopFuture<RestartPeerReply>)?
        /// Everything that the bridge has carried, for those who want to read it.
        package var bridged: [ByteBuffer] = []
        package var carriesBridge = true
        /// Nothing gets through any more.
        package var isDown = false

        package init(eventLoop: any EventLoop) {
            self.eventLoop = eventLoop
        }

        package func overWire(_ body: Envelope.Body) throws -> Envelope.Body? {
            try Envelope(decoding: Envelope(id: 1, body).encoded()).body
        }
    }

    package enum Side {
        case client
        case agent
    }

    struct Lost: Error {}

    package let hub: NIOLoopBound<Hub>
    package let side: Side

    package func openPeer(_ offer: OpenPeer) -> EventLoopFuture<OpenPeerReply> {
        let hub = self.hub.value
        guard !hub.isDown, case .openPeer(let arrived) = try? hub.overWire(.openPeer(hub.changeOffer(offer))),
            let accept = hub.accept
        else {
            return hub.eventLoop.makeFailedFuture(Lost())
        }
        let bound = self.hub
        return hub.eventLoop.makeCompletedFuture { try accept(arrived) }.flatMap { $0 }.flatMapThrowing { answer in
            let hub = bound.value
            guard case .openPeerReply(let arrived) = try hub.overWire(.openPeerReply(hub.changeAnswer(answer))) else {
                throw Lost()
            }
            return arrived
        }
    }

    package func restartPeer(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply> {
        let hub = self.hub.value
        guard !hub.isDown, case .restartPeer(let arrived) = try? hub.overWire(.restartPeer(restart)),
            let answer = hub.restart
        else {
            return hub.eventLoop.makeFailedFuture(Lost())
        }
        let bound = self.hub
        return answer(arrived).flatMapThrowing { answer in
            guard case .restartPeerReply(let arrived) = try bound.value.overWire(.restartPeerReply(answer)) else {
                throw Lost()
            }
            return arrived
        }
    }

    package func sendBridge(_ bridge: Bridge) {
        guard self.hub.value.carriesBridge else { return }
        self.hub.value.bridged.append(bridge.datagrams)
        self.sendEvent(.bridge(bridge))
    }

    package func sendEvent(_ body: Envelope.Body) {
        let side = self.side
        let bound = self.hub
        bound.value.eventLoop.execute {
            let hub = bound.value
            guard !hub.isDown, let body = try? hub.overWire(body) else { return }
            side == .client ? hub.toAgent?(body) : hub.toClient?(body)
        }
    }
}
