package import NIOCore
package import NIOHTTP1

/// The last handler of a connection for HTTP: answers one request and closes.
///
/// It also limits the time that the connection may take until then. Where requests may upgrade the connection, it leaves the
/// pipeline with that, and with it the limit.
package final class PlainHTTPHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case waitingForHead
        /// The answer is decided and goes out at the end of the request: a body is read and dropped.
        case waitingForEnd(HTTPRequestHead)
        case answered
    }

    private let limits: PlainHTTPLimits
    private let respond: (HTTPRequestHead, @escaping (PlainResponse) -> Void) -> Void
    private var state = State.waitingForHead
    private var timer: Scheduled<Void>?

    /// - Parameter respond: answers a request by calling what it is given, now or later, on the connection's event loop.
    package init(
        limits: PlainHTTPLimits, respond: @escaping (HTTPRequestHead, @escaping (PlainResponse) -> Void) -> Void
    ) {
        self.limits = limits
        self.respond = respond
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.armTimer(self.limits.requestTime, context: context)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.timer?.cancel()
        context.fireChannelInactive()
    }

    private func armTimer(_ time: TimeAmount, context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            context.close(promise: nil)
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (self.state, self.unwrapInboundIn(data)) {
        case (.waitingForHead, .head(let head)):
            self.state = .waitingForEnd(head)
        case (.waitingForEnd(let head), .end):
            self.state = .answered
            self.armTimer(self.limits.responseTime, context: context)
            self.respond(head) { [weak self] response in
                guard let self, context.channel.isActive else { return }
                self.write(response, to: head, context: context)
            }
        case (_, .head), (_, .body), (_, .end):
            break  // A body that nobody asked for, or a request behind the one that is answered.
        }
    }

    private func write(_ response: PlainResponse, to request: HTTPRequestHead, context: ChannelHandlerContext) {
        let body = ByteBuffer(string: response.body)
        var headers = response.headers
        headers.add(name: "Content-Type", value: response.contentType)
        headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        headers.add(name: "Cache-Control", value: "no-store")
        headers.add(name: "Connection", value: "close")
        let head = HTTPResponseHead(version: .http1_1, status: response.status, headers: headers)
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil))).whenComplete { _ in
            bound.value.close(promise: nil)
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Bytes that are no HTTP or no TLS, or a connection that broke. NIO's handler in front has answered 400 where
        // that makes sense.
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension PlainHTTPHandler: Sendable {}
