import CommandSupport
import Foundation
import Logging
import NIOCore
import NIOPosix
import Signaling
import TLS
import Testing

@testable import rtun_server

/// `--healthcheck`, against a server on loopback.
@Suite struct HealthCheckTests {
    private let eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// Runs `body` beside a server on a wildcard address, which is stopped afterwards.
    private func withServer(
        certificate: CertificateFiles? = nil, _ body: (_ port: Int) async throws -> Void
    ) async throws {
        let configuration = ServerConfiguration(
            address: try ListenAddress(parsing: "0.0.0.0:0", defaultHost: "0.0.0.0"), certificate: certificate,
            secrets: AcceptedSecrets(try SharedKey(secret: Array("test".utf8))), limits: ServerLimits(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let server = try await Server.start(configuration, on: self.eventLoop)
        let result: Result<Void, any Error>
        do {
            try await body(server.port)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.stop()
        try result.get()
    }

    private func check(_ address: String, usesTLS: Bool = false) async throws {
        try await HealthCheck(
            address: try ListenAddress(parsing: address, defaultHost: "0.0.0.0"), usesTLS: usesTLS,
            timeout: .milliseconds(500)
        ).run(on: self.eventLoop)
    }

    /// Of a check that fails.
    private func error(_ address: String, usesTLS: Bool = false) async throws -> ProgramError {
        try await #require(throws: ProgramError.self) { try await self.check(address, usesTLS: usesTLS) }
    }

    @Test func `a server without a certificate is healthy`() async throws {
        try await self.withServer { port in
            try await self.check("\(port)")
            try await self.check("127.0.0.1:\(port)")
            try await self.check("localhost:\(port)")
            try await self.check("[::]:\(port)")
        }
    }

    @Test func `a server with a certificate is healthy, whoever issued it and whether the check knows of it or not`()
        async throws
    {
        let certificate = try CertificateFolder(commonName: "elsewhere")
        defer { withExtendedLifetime(certificate) {} }
        try await self.withServer(certificate: certificate.files) { port in
            try await self.check("\(port)", usesTLS: true)
            try await self.check("\(port)", usesTLS: false)
        }
    }

    @Test func `a missing server is not healthy`() async throws {
        var closed = 0
        try await self.withServer { closed = $0 }
        let error = try await self.error("127.0.0.1:\(closed)")
        #expect(error.status == .unavailable)
        #expect(error.message == "no healthy rtun-server at 127.0.0.1:\(closed): connection refused")
    }

    @Test func `port 0 cannot be checked`() async throws {
        #expect(try await self.error("127.0.0.1:0").status == .usage)
    }

    @Test(arguments: [
        ("HTTP/1.1 404 Not Found\r\n\r\n", "it answered \"HTTP/1.1 404 Not Found\""), ("", "no answer over HTTP"),
        ("SSH-2.0-OpenSSH\r\n", "no answer over HTTP"), (String(repeating: "x", count: 300), "no answer over HTTP"),
    ])
    func `another program is not a healthy rtun-server`(answer: String, reason: String) async throws {
        let other = try await ServerBootstrap(group: self.eventLoop)
            .childChannelInitializer { channel in
                if !answer.isEmpty { channel.writeAndFlush(ByteBuffer(string: answer), promise: nil) }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = other.localAddress?.port ?? 0
        let error = try await self.error("127.0.0.1:\(port)")
        try await other.close()
        #expect(error.message == "no healthy rtun-server at 127.0.0.1:\(port): \(reason)")
    }
}
