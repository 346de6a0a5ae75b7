import Basics
import CommandSupport
import Foundation
import Glibc
import Logging
import NIOCore
import NIOPosix
import Signaling
import TLS
import Testing

@testable import rtun_server

/// The listeners, on loopback.
@Suite struct ServerTests {
    private static let key = try? SharedKey(secret: Array("test".utf8))

    private func configuration(
        _ address: String = "127.0.0.1:0", certificate: CertificateFiles? = nil, limits: ServerLimits = ServerLimits()
    ) throws -> ServerConfiguration {
        ServerConfiguration(
            address: try ListenAddress(parsing: address, defaultHost: "127.0.0.1"), certificate: certificate,
            secrets: AcceptedSecrets(try #require(Self.key)),
            limits: limits, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    /// Runs `body` beside a server, which is stopped afterwards.
    private func withServer(
        _ configuration: ServerConfiguration, _ body: (_ server: Server, _ port: Int) async throws -> Void
    ) async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let server = try await Server.start(configuration, on: eventLoop)
        let result: Result<Void, any Error>
        do {
            try await body(server, server.port)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.stop()
        try result.get()
    }

    /// Sends `text` over TCP and returns all that comes back until the server closes.
    private func exchange(_ text: String, host: String = "127.0.0.1", port: Int) async throws -> String {
        try await self.send(text, host: host, port: port).get()
    }

    /// Sends `text` over TCP, and returns when there is a connection: what comes back until the server closes follows.
    private func send(_ text: String, host: String = "127.0.0.1", port: Int) async throws -> EventLoopFuture<String> {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let answer = eventLoop.makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(promise: answer))
                }
            }
            .connect(host: host, port: port).get()
        if !text.isEmpty { channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }
        return answer.futureResult
    }

    @Test func `TCP and UDP share the port that the system chose, and UDP answers STUN`() async throws {
        try await self.withServer(try self.configuration()) { server, port in
            #expect(port > 0)
            #expect(server.readyLine(nil).text == "rtun-server ready http=127.0.0.1:\(port) quic=127.0.0.1:\(port)")
            let answer = try await stunAnswer(host: "127.0.0.1", port: port)
            #expect(Array(answer.prefix(2)) == [0x01, 0x01])
        }
    }

    @Test func `a datagram that cannot be answered does not close the port`() async throws {
        try await self.withServer(try self.configuration()) { _, port in
            // Raw sockets want a privilege; without it there is nothing to see.
            guard sendFromPortZero(to: port, stunRequest) else { return }
            let answer = try await stunAnswer(host: "127.0.0.1", port: port)
            #expect(Array(answer.prefix(2)) == [0x01, 0x01])
        }
    }

    @Test func `beyond the limit of unproven connections the oldest is closed`() async throws {
        var limits = ServerLimits()
        limits.strangers = 1
        try await self.withServer(try self.configuration(limits: limits)) { _, port in
            let oldest = try await self.send("GET /healthz HTTP/1.1\r\nX-Slow: ", port: port)
            let answer = try await self.exchange("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", port: port)
            #expect(answer.hasSuffix("ok\n"))
            #expect(try await oldest.get() == "")
        }
    }

    @Test func `a port that is taken is an error that names it`() async throws {
        try await self.withServer(try self.configuration()) { _, port in
            let error = try await #require(throws: ProgramError.self) {
                _ = try await Server.start(
                    try self.configuration("127.0.0.1:\(port)"), on: MultiThreadedEventLoopGroup.singleton.next())
            }
            #expect(error.status == .unavailable)
            #expect(error.message.hasPrefix("cannot listen on 127.0.0.1:\(port): address already in use"))
        }
    }

    @Test func `an IPv6 wildcard listens on both families`() async throws {
        try await self.withServer(try self.configuration("[::]:0")) { _, port in
            let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
            for host in ["127.0.0.1", "::1"] {
                let answer = try await self.exchange(request, host: host, port: port)
                #expect(answer.hasSuffix("ok\n"))
                let mapped = try await stunAnswer(host: host, port: port)
                #expect(mapped.count == (host == "::1" ? 44 : 32))
            }
        }
    }

    @Test(arguments: [
        "garbage\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{16}\u{3}\u{1}\u{0}\u{5}hello", "\r\n\r\n\r\n\u{0}\u{0}",
    ])
    func `bytes that are not HTTP end the connection`(garbage: String) async throws {
        var limits = ServerLimits()
        limits.http.requestTime = .milliseconds(200)
        try await self.withServer(try self.configuration(limits: limits)) { _, port in
            let answer = try await self.exchange(garbage, port: port)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400"))
        }
    }

    @Test func `a connection that asks for nothing is closed`() async throws {
        var limits = ServerLimits()
        limits.http.requestTime = .milliseconds(100)
        try await self.withServer(try self.configuration(limits: limits)) { _, port in
            for beginning in ["", "GET /healthz HTTP/1.1\r\nX-Slow: "] {
                let answer = try await self.exchange(beginning, port: port)
                #expect(answer == "")
            }
        }
    }

    @Test func `a header beyond the limit is refused`() async throws {
        try await self.withServer(try self.configuration()) { _, port in
            let header = "X-Long: " + String(repeating: "x", count: 20_000)
            let answer = try await self.exchange("GET /healthz HTTP/1.1\r\n\(header)\r\n\r\n", port: port)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400") || answer.hasPrefix("HTTP/1.1 431"))
        }
    }

    @Test func `connections beyond the limit are closed at once`() async throws {
        var limits = ServerLimits()
        limits.connections = 0
        try await self.withServer(try self.configuration(limits: limits)) { _, port in
            let answer = try await self.exchange("GET /healthz HTTP/1.1\r\n\r\n", port: port)
            #expect(answer == "")
        }
    }

    @Test func `a reloaded certificate serves new connections`() async throws {
        let certificate = try CertificateFolder(commonName: "before")
        let before = try certificate.files.load().leafFingerprint
        defer { withExtendedLifetime(certificate) {} }
        try await self.withServer(try self.configuration(certificate: certificate.files)) { server, port in
            #expect(server.readyLine(nil).text == "rtun-server ready https=127.0.0.1:\(port) quic=127.0.0.1:\(port)")
            #expect(try await certificateShown(port: port) == before)
            let after = try certificate.replace(commonName: "after")
            await server.reloadFiles()
            #expect(try await certificateShown(port: port) == after)
            // Files that do not fit together change nothing.
            try certificate.replaceKey()
            await server.reloadFiles()
            #expect(try await certificateShown(port: port) == after)
        }
    }

    @Test func `files that cannot be used are told apart from files that cannot be read`() throws {
        let missing = CertificateFiles(certificate: "/nonexistent/cert.pem", key: "/nonexistent/key.pem")
        let unreadable = try #require(throws: ProgramError.self) { try missing.load() }
        #expect(unreadable.status == .unavailable)
        let notPEM = CertificateFiles(certificate: "/etc/hostname", key: "/etc/hostname")
        let unusable = try #require(throws: ProgramError.self) { try notPEM.load() }
        #expect(unusable.status == .configuration)
    }
}

/// The fingerprint of the certificate that the server shows.
private func certificateShown(port: Int) async throws -> CertificateFingerprint? {
    let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let fingerprint = eventLoop.makePromise(of: CertificateFingerprint?.self)
    let channel = try await ClientBootstrap(group: eventLoop)
        .channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let tls = try TLSHandler(context: TLSContext.client(verification: .insecure))
                try channel.pipeline.syncOperations.addHandlers(
                    [tls, CertificateWatcher(tls: tls, promise: fingerprint)])
            }
        }
        .connect(host: "127.0.0.1", port: port).get()
    let result = try await fingerprint.futureResult.get()
    try? await channel.close()
    return result
}

/// The answer to a Binding request (RFC 8489 §5).
private func stunAnswer(host: String, port: Int) async throws -> [UInt8] {
    let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let answer = eventLoop.makePromise(of: [UInt8].self)
    let server = try SocketAddress(ipAddress: host, port: port)
    let channel = try await DatagramBootstrap(group: eventLoop)
        .channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(DatagramCollector(promise: answer))
            }
        }
        .bind(host: host, port: 0).get()
    channel.writeAndFlush(AddressedEnvelope(remoteAddress: server, data: ByteBuffer(bytes: stunRequest)), promise: nil)
    let result = try await answer.futureResult.get()
    try? await channel.close()
    return result
}

/// A STUN Binding request (RFC 8489 §5).
private let stunRequest: [UInt8] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42] + Array(1...12)

/// Sends one UDP datagram over loopback whose source port is 0, which no answer can be sent to; false without the
/// privilege for raw sockets.
private func sendFromPortZero(to port: Int, _ payload: [UInt8]) -> Bool {
    let descriptor = Glibc.socket(AF_INET, Int32(SOCK_RAW.rawValue), Int32(IPPROTO_UDP))
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    // RFC 768: source port, destination port, length, no checksum. The kernel adds the IP header.
    let fields = [0, UInt16(truncatingIfNeeded: port), UInt16(8 + payload.count), 0]
    let datagram = fields.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } + payload
    guard let address = try? SocketAddress(ipAddress: "127.0.0.1", port: 0) else { return false }
    return address.withSockAddr { address, size in
        sendto(descriptor, datagram, datagram.count, 0, address, socklen_t(size)) == datagram.count
    }
}

/// Collects text until the connection closes.
private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let promise: EventLoopPromise<String>
    private var text = ""

    init(promise: EventLoopPromise<String>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.text += String(buffer: self.unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.promise.succeed(self.text)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Waits for one datagram.
private final class DatagramCollector: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let promise: EventLoopPromise<[UInt8]>

    init(promise: EventLoopPromise<[UInt8]>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.promise.succeed(Array(self.unwrapInboundIn(data).data.readableBytesView))
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.promise.fail(ChannelError.ioOnClosedChannel)
    }
}

/// Waits for the end of the TLS handshake.
private final class CertificateWatcher: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let tls: TLSHandler
    private let promise: EventLoopPromise<CertificateFingerprint?>

    init(tls: TLSHandler, promise: EventLoopPromise<CertificateFingerprint?>) {
        self.tls = tls
        self.promise = promise
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        self.promise.succeed(self.tls.peerFingerprint)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.promise.fail(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.promise.fail(ChannelError.ioOnClosedChannel)
    }
}
