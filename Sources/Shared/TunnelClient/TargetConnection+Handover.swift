package import NIOCore

extension TargetConnection {
    /// Gives the client to the target: this connection's handler takes the place of the one that `context` is of, and gets
    /// first what has arrived `early`, then the client's end, if `inputClosed` says that it has closed already. A client that
    /// has gone gives the connection up.
    package func takeOver<Handler: RemovableChannelHandler>(
        from handler: Handler, _ context: ChannelHandlerContext, early: ByteBuffer, inputClosed: Bool
    ) {
        let channel = context.channel
        guard channel.isActive else { return self.abandon() }
        do {
            try context.pipeline.syncOperations.addHandler(self.makeHandler(), position: .after(handler))
        } catch {
            self.abandon()
            return context.close(promise: nil)
        }
        if early.readableBytes > 0 {
            context.fireChannelRead(NIOAny(early))
            context.fireChannelReadComplete()
        }
        if inputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        // Fails only on a channel that is closed, which its handler has been told.
        try? channel.syncOptions?.setOption(.autoRead, value: true)
    }
}
