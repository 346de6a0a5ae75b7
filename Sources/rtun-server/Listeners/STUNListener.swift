import Basics
import NIOCore
import NIOPosix
import UDP

/// UDP sockets that answer STUN and nothing else: the server's second port, and its second address.
///
/// Belongs to the server's event loop.
final class STUNListener {
    private let eventLoop: any EventLoop
    private var channels: [any Channel] = []

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Answers on one more address. Fails with `IOError`.
    func bind(to address: SocketAddress) -> EventLoopFuture<any Channel> {
        let listener = NIOLoopBound(self, eventLoop: self.eventLoop)
        let bootstrap = DatagramSocketOptions.questions.apply(to: DatagramBootstrap(group: self.eventLoop))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([DatagramSender(), STUNResponder()])
                }
            }
        return bootstrap.answeringFromAskedAddress(address).bind(to: address).assumeIsolated().map { channel in
            listener.value.channels.append(channel)
            return channel
        }.nonisolated()
    }

    /// Closes the sockets.
    func close() {
        for channel in self.channels { channel.close(promise: nil) }
        self.channels = []
    }
}

@available(*, unavailable)
extension STUNListener: Sendable {}

extension DatagramBootstrap {
    /// The options that a socket on `address` needs so that what it answers comes from the address that was asked.
    ///
    /// On an address of its own the kernel sees to that. On a wildcard it takes the address that the route to the peer
    /// prefers, which is the wrong one on a host with several, so each datagram has to tell where it arrived.
    func answeringFromAskedAddress(_ address: SocketAddress) -> DatagramBootstrap {
        var bootstrap = self
        if case .v6 = address {
            bootstrap = bootstrap.channelOption(.ipv6Only, value: 1)
        }
        return address.isWildcard ? bootstrap.channelOption(.receivePacketInfo, value: true) : bootstrap
    }
}
