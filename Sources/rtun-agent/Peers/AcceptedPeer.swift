import AppProto
import Logging
import NIOCore
import PeerChannel

/// One client's peer channel at the agent: dials what the client asks for and splices it to the tunnel.
///
/// Belongs to the channel's event loop.
final class AcceptedPeer: PeerServerChannelDelegate {
    let channel: PeerServerChannel
    private let egress: Egress
    private let logger: Logger
    private let closed: () -> Void

    /// Looks at the offer; throws a `PeerChannelError` when it cannot be taken. `closed` is called once, when the
    /// channel is over.
    init(
        offer: OpenPeer, configuration: PeerChannelConfiguration, signaling: any PeerSignaling,
        eventLoop: any EventLoop, egress: Egress, logger: Logger, closed: @escaping () -> Void
    ) throws(PeerChannelError) {
        var logger = logger
        logger[metadataKey: "peer"] = "\(offer.peerID)"
        self.channel = try PeerServerChannel(
            offer: offer, configuration: configuration, signaling: signaling, eventLoop: eventLoop, logger: logger)
        self.egress = egress
        self.logger = logger
        self.closed = closed
        self.channel.delegate = self
    }

    /// Starts to look for a path; brings the answer for the client, or fails with the `Failure` to answer with.
    func start() -> EventLoopFuture<OpenPeerReply> {
        self.channel.start().flatMapErrorThrowing { throw Failure(refusing: $0) }
    }

    func peerChannel(_ channel: PeerServerChannel, requested request: TunnelRequest) {
        guard self.egress.takeStream() else {
            request.refuse(.limit, reason: "the agent is at its limit of \(self.egress.maximumStreams) connections")
            return
        }
        EgressConnection(request: request, eventLoop: channel.eventLoop, egress: self.egress, logger: self.logger)
            .open()
    }

    func peerChannel(_ channel: PeerServerChannel, closed reason: PeerChannelError) {
        self.closed()
    }
}

@available(*, unavailable)
extension AcceptedPeer: Sendable {}
