import ICE
import Logging
import NIOCore

extension DirectSession {
    /// Opens the sockets that the configuration and this machine's addresses call for.
    ///
    /// Fails with `PeerChannelError.noLocalAddress` or `.noSocket`. The future is the event loop's.
    ///
    /// - Parameter peerAnswersPadding: asked when the peer has answered.
    static func open(
        generation: UInt32, role: ICERole, configuration: PeerChannelConfiguration, eventLoop: any EventLoop,
        logger: Logger, peerAnswersPadding: @escaping () -> Bool
    ) -> EventLoopFuture<NIOLoopBound<DirectSession>> {
        LocalSockets.open(
            interfaces: configuration.interfaces, loopbackOnly: configuration.loopbackOnly, eventLoop: eventLoop
        ).assumeIsolated().map { local in
            let local = local.value
            let session = DirectSession(
                generation: generation, sockets: local.sockets, hosts: local.hosts, role: role,
                configuration: configuration, eventLoop: eventLoop, logger: logger,
                peerAnswersPadding: peerAnswersPadding)
            return NIOLoopBound(session, eventLoop: eventLoop)
        }.nonisolated()
    }
}
