import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import NIOWebSocket

@testable import Signaling

/// A TCP server that answers the first bytes of each connection with whatever the test says.
final class RawServer: Sendable {
    let url: ServerURL
    private let channel: any Channel

    private init(url: ServerURL, channel: any Channel) {
        self.url = url
        self.channel = channel
    }

    /// `answer` gets the request's text; nil: no answer at all. `thenCloses` ends the connection behind the answer.
    static func start(
        thenCloses: Bool = false, answer: @escaping @Sendable (String) -> ByteBuffer?
    ) async throws -> RawServer {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AnsweringHandler(thenCloses: thenCloses, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = UInt16(channel.localAddress?.port ?? 0)
        return RawServer(url: ServerURL(scheme: .http, host: "127.0.0.1", port: port, prefix: ""), channel: channel)
    }

    func stop() async throws {
        try await self.channel.close()
    }

    /// The 101 answer to an upgrade request, and what follows in the same segment.
    static func upgradeAnswer(to request: String, followedBy rest: ByteBuffer) throws -> ByteBuffer {
        let lines = request.split(separator: "\r\n")
        let headers = lines.dropFirst().compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), line[line.index(after: colon)...].drop { $0 == " " }.description)
        }
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: HTTPHeaders(headers))
        let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        let channel = EmbeddedChannel()
        let response = try upgrader.buildUpgradeResponse(
            channel: channel, upgradeRequest: head,
            initialResponseHeaders: ["Connection": "Upgrade", "Upgrade": "websocket"]
        ).wait()
        _ = try channel.finish()
        var answer = ByteBuffer(string: "HTTP/1.1 101 Switching Protocols\r\n")
        for (name, value) in response { answer.writeString("\(name): \(value)\r\n") }
        answer.writeString("\r\n")
        answer.writeImmutableBuffer(rest)
        return answer
    }
}

private final class AnsweringHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let thenCloses: Bool
    private let answer: @Sendable (String) -> ByteBuffer?
    private var hasAnswered = false

    init(thenCloses: Bool, answer: @escaping @Sendable (String) -> ByteBuffer?) {
        self.thenCloses = thenCloses
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.hasAnswered else { return }
        self.hasAnswered = true
        guard let answer = self.answer(String(buffer: self.unwrapInboundIn(data))) else { return }
        let written = context.writeAndFlush(self.wrapOutboundOut(answer))
        if self.thenCloses {
            written.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
