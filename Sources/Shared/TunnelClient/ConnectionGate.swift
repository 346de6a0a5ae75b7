import NIOCore

/// A listening socket's handler that stops accepting while its ``ConnectionLimiter`` says so: further clients wait in the
/// kernel's queue.
final class ConnectionGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    private let limiter: ConnectionLimiter
    private var context: ChannelHandlerContext?

    init(_ limiter: ConnectionLimiter) {
        self.limiter = limiter
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.limiter.forget(self)
    }

    func read(context: ChannelHandlerContext) {
        let mayAccept = self.limiter.mayAccept(self) { [weak self] in
            if let self, let context = self.context { self.read(context: context) }
        }
        if mayAccept { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.limiter.accepted(self.unwrapInboundIn(data))
        context.fireChannelRead(data)
    }
}

@available(*, unavailable)
extension ConnectionGate: Sendable {}
