import NIOCore
import NIOHTTP1

/// The last handler of a TCP connection that has not become a WebSocket: answers one request and closes.
///
/// It also limits the time that the connection may take until then. It leaves the pipeline with the upgrade, and with it
/// the limit.
final class HTTPConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case waitingForHead
        /// The answer is decided and goes out at the end of the request: a body is read and dropped.
        case waitingForEnd(HTTPRequestHead)
        case answered
    }

    private let limits: ServerLimits
    private let respond: (HTTPRequestHead) -> PlainResponse
    private var state = State.waitingForHead
    private var timer: Scheduled<Void>?

    init(limits: ServerLimits, respond: @escaping (HTTPRequestHead) -> PlainResponse) {
        self.limits = limits
        self.respond = respond
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.armTimer(self.limits.requestTime, context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.timer?.cancel()
        context.fireChannelInactive()
    }

    private func armTimer(_ time: TimeAmount, context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (self.state, self.unwrapInboundIn(data)) {
        case (.waitingForHead, .head(let head)):
            self.state = .waitingForEnd(head)
        case (.waitingForEnd(let head), .end):
            self.state = .answered
            self.write(self.respond(head), to: head, context: context)
        case (_, .head), (_, .body), (_, .end):
            break  // A body that nobody asked for, or a request behind the one that is answered.
        }
    }

    private func write(_ response: PlainResponse, to request: HTTPRequestHead, context: ChannelHandlerContext) {
        self.armTimer(self.limits.responseTime, context: context)
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

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Bytes that are no HTTP or no TLS, or a connection that broke. NIO's handler in front has answered 400 where
        // that makes sense.
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension HTTPConnectionHandler: Sendable {}
