import NIOCore
import NIOHTTP1
import NIOPosix

/// A whole answer.
struct AdminAnswer: Equatable, Sendable {
    var status: HTTPResponseStatus
    var body: String
}

/// One request to `--admin` and its answer.
final class AdminExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// More is no answer of ours.
    private static let maximumBody = 32 << 20

    private let head: HTTPRequestHead
    private let timeout: TimeAmount
    private let promise: EventLoopPromise<AdminAnswer>
    private var status: HTTPResponseStatus?
    private var body = ByteBuffer()
    private var timer: Scheduled<Void>?

    private init(head: HTTPRequestHead, timeout: TimeAmount, promise: EventLoopPromise<AdminAnswer>) {
        self.head = head
        self.timeout = timeout
        self.promise = promise
    }

    /// Asks. Throws what the connection met with.
    ///
    /// - Parameter timeout: for connecting, and for the answer.
    static func run(
        _ route: AdminRoute, at address: SocketAddress, token: AdminToken?, timeout: TimeAmount,
        on eventLoop: any EventLoop
    ) async throws -> AdminAnswer {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: route.rawValue)
        head.headers.add(name: "Host", value: "localhost")
        head.headers.add(name: "Connection", value: "close")
        if let token { head.headers.add(name: "Authorization", value: token.authorization) }
        let promise = eventLoop.makePromise(of: AdminAnswer.self)
        let request = head
        let connecting = ClientBootstrap(group: eventLoop).connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(
                        AdminExchange(head: request, timeout: timeout, promise: promise))
                }
            }
            .connect(to: address)
        connecting.cascadeFailure(to: promise)
        // Its failure says more than the answer that does not come then.
        _ = try await connecting.get()
        return try await promise.futureResult.get()
    }

    func channelActive(context: ChannelHandlerContext) {
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.timeout) {
            self.promise.fail(ChannelError.connectTimeout(self.timeout))
            context.close(promise: nil)
        }
        context.write(self.wrapOutboundOut(.head(self.head)), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head): self.status = head.status
        case .body(var bytes):
            self.body.writeBuffer(&bytes)
            if self.body.readableBytes > Self.maximumBody { context.close(promise: nil) }
        case .end:
            if let status = self.status {
                self.promise.succeed(AdminAnswer(status: status, body: String(buffer: self.body)))
            }
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.promise.fail(error)
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.promise.fail(ChannelError.eof)
    }
}

@available(*, unavailable)
extension AdminExchange: Sendable {}
