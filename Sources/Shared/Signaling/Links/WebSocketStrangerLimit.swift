import NIOCore

/// Counts what a peer sends over a WebSocket until it has proved the secret: bytes in front of the frame decoder, which would
/// keep a part of a frame of full size, and frames behind it.
final class WebSocketStrangerLimit: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var bytes = 0
    private var frames = 0
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.bytes += self.unwrapInboundIn(data).readableBytes
        guard self.bytes <= SignalLinkLimits.maximumStrangerBytes else {
            context.fireErrorCaught(SignalLinkError.messageTooLarge)
            return
        }
        context.fireChannelRead(data)
    }

    /// Counts a frame; false when it is one too many.
    func takeFrame() -> Bool {
        self.frames += 1
        return self.frames <= SignalLinkLimits.maximumStrangerMessages
    }

    /// The peer has proved the secret.
    func lift() {
        guard let context = self.context else { return }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}

@available(*, unavailable)
extension WebSocketStrangerLimit: Sendable {}
