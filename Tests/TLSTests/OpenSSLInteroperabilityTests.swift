import Foundation
import NIOCore
import NIOPosix
import TLS
import Testing

/// Against OpenSSL's own programs, over loopback.
@Suite(.serialized, .timeLimit(.minutes(1))) struct OpenSSLInteroperabilityTests {
    let directory: TemporaryDirectory
    let identity: Identity
    let authority: String

    init() throws {
        self.directory = try TemporaryDirectory()
        self.identity = try #require(Identity.shared)
        self.authority = try self.directory.write(self.identity.certificateChainPEM, as: "cert.pem")
        _ = try self.directory.write(self.identity.privateKeyPEM, as: "key.pem")
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `s_client sends to an echo of ours and reads it back`(version: String) async throws {
        let context = try TLSContext.server(identity: self.identity)
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([TLSHandler(context: context), Echo()])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let text = (0..<3_000).map { "line \($0)\n" }.joined()
        let output = try await run(
            "openssl s_client -connect 127.0.0.1:\(port) -verify_return_error -CAfile \(self.authority) "
                + "-verify_ip 127.0.0.1 -alpn http/1.1 -quiet -no_ign_eof \(version)",
            input: text, until: text.utf8.count)
        #expect(output == text)
        try await server.close()
    }

    @Test func `s_client with an old version is refused`() async throws {
        let context = try TLSContext.server(identity: self.identity)
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([TLSHandler(context: context), Echo()])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let error = #expect(throws: CommandFailed.self) {
            try self.directory.openssl("s_client -connect 127.0.0.1:\(port) -tls1_1 -cipher DEFAULT@SECLEVEL=0")
        }
        #expect(error?.output.contains("alert protocol version") == true)
        try await server.close()
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `ours fetches a page from s_server`(version: String) async throws {
        let server = Process()
        server.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        server.arguments = ["openssl"]
            + "s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -www -alpn http/1.1 \(version)"
            .split(separator: " ").map(String.init)
        server.currentDirectoryURL = URL(fileURLWithPath: self.directory.path)
        let output = Pipe()
        server.standardOutput = output
        server.standardError = FileHandle.nullDevice
        try server.run()
        defer {
            // Not terminate(): children inherit this thread's signal mask, which blocks SIGTERM.
            kill(server.processIdentifier, SIGKILL)
            server.waitUntilExit()
        }
        // It announces "ACCEPT 127.0.0.1:PORT".
        var announcement = ""
        while !announcement.contains(/ACCEPT .*:[0-9]+\n/) {
            let bytes = output.fileHandleForReading.availableData
            try #require(!bytes.isEmpty)
            announcement += String(decoding: bytes, as: UTF8.self)
        }
        let port = try #require(announcement.firstMatch(of: /ACCEPT .*:([0-9]+)\n/).flatMap { Int($0.1) })

        let context = try TLSContext.client(
            verification: .certificateAuthorities(file: self.authority, serverName: "127.0.0.1"))
        let group = MultiThreadedEventLoopGroup.singleton
        let page = group.next().makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        TLSHandler(context: context), Collector(promise: page),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        // Written before the handshake is over.
        try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.0\r\n\r\n"))
        let text = try await page.futureResult.get()
        #expect(text.hasPrefix("HTTP/1.0 200 ok"))
        #expect(text.contains(version == "-tls1_2" ? "TLSv1.2" : "TLSv1.3"))
    }

    /// Runs a command, feeds it `input`, and returns what it printed once that is `count` bytes or it ended.
    private func run(_ command: String, input: String, until count: Int) async throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command.split(separator: " ").map(String.init)
        let (stdin, stdout) = (Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = FileHandle.nullDevice
        try process.run()
        try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        var output = Data()
        while output.count < count {
            let bytes = stdout.fileHandleForReading.availableData
            if bytes.isEmpty { break }
            output += bytes
        }
        try stdin.fileHandleForWriting.close()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}

private final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// Collects all that is received until the end.
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
        self.promise.fail(error)
    }
}
