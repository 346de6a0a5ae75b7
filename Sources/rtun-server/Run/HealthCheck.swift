import Admin
import CommandSupport
import NIOCore
import NIOPosix
import OperatingSystem
import TLS

/// Asks the server that listens on this machine whether it is well: `GET /healthz`. For a container, which has no other
/// program that could ask.
struct HealthCheck {
    /// What the server was told to listen on. A wildcard is asked by loopback.
    let address: ListenAddress
    /// Whether the server has a certificate. One that was given it in another way is found by a second try.
    let usesTLS: Bool
    /// For each try, from connecting to the answer.
    var timeout = TimeAmount.seconds(2)

    /// Returns when the server says that all is well; throws with exit code 69 when it does not, and 64 without a port.
    func run(on eventLoop: any EventLoop) async throws {
        guard self.address.port != 0 else {
            throw ProgramError(.usage, "--healthcheck needs the port that the server listens on, with --addr")
        }
        var failure = "no answer"
        for address in try self.address.resolve().map(\.reachable) {
            // A certificate is not looked at: this is about the machine itself, and sends nothing that anybody must not know.
            for usesTLS in self.usesTLS ? [true] : [false, true] {
                do {
                    let answer = try await self.ask(address, usesTLS: usesTLS, on: eventLoop)
                    if answer.hasPrefix("HTTP/1.1 200 ") { return }
                    // A port for TLS says nothing, or an alert, to those who speak HTTP.
                    failure = answer.hasPrefix("HTTP/") ? "it answered \"\(answer)\"" : "no answer over HTTP"
                    if answer.hasPrefix("HTTP/") { break }
                } catch {
                    failure = SystemError.text(of: error)
                    if !usesTLS { break }
                }
            }
        }
        throw ProgramError(.unavailable, "no healthy rtun-server at \(self.address): \(failure)")
    }

    /// The first line of the answer, as far as one comes.
    private func ask(_ address: SocketAddress, usesTLS: Bool, on eventLoop: any EventLoop) async throws -> String {
        let answer = eventLoop.makePromise(of: String.self)
        let timeout = self.timeout
        let tlsContext = usesTLS ? try TLSContext.client(verification: .insecure) : nil
        let connecting = ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tlsContext {
                        try channel.pipeline.syncOperations.addHandler(TLSHandler(context: tlsContext))
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        HealthCheckHandler(timeout: timeout, answer: answer))
                }
            }
            .connect(to: address)
        connecting.cascadeFailure(to: answer)
        // Its failure says more than the answer that does not come then.
        _ = try await connecting.get()
        return try await answer.futureResult.get()
    }
}

/// Sends the request once connected, and hands over the first line of what comes back before the connection ends.
private final class HealthCheckHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// More than any status line that the server sends.
    private static let largestLine = 256

    private let timeout: TimeAmount
    private let answer: EventLoopPromise<String>
    private var received = ByteBuffer()
    private var timer: Scheduled<Void>?

    init(timeout: TimeAmount, answer: EventLoopPromise<String>) {
        self.timeout = timeout
        self.answer = answer
    }

    func channelActive(context: ChannelHandlerContext) {
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.timeout) { context.close(promise: nil) }
        // TLS keeps it until the end of its handshake.
        let request = ByteBuffer(string: "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        context.writeAndFlush(self.wrapOutboundOut(request), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.received.writeBuffer(&bytes)
        if self.received.readableBytes >= Self.largestLine || self.received.readableBytesView.contains(0x0A) {
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
        let line = self.received.readableBytesView.prefix { $0 != 0x0D && $0 != 0x0A }.prefix(Self.largestLine)
        self.answer.succeed(String(decoding: line, as: UTF8.self))
    }
}
