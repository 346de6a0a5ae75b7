import AppProto
import NIOCore
import NIOPosix
import NIOWebSocket
import TLS
import Testing

@testable import Signaling

/// The moment of the upgrade, and what can go wrong before it.
@Suite(.timeLimit(.minutes(1))) struct WebSocketUpgradeTests {
    private func attempt(_ url: ServerURL) async throws -> Result<LinkProbe, SignalConnectError> {
        await LinkTests.connect(try LinkTests.connector(url))
    }

    @Test func `a message in the same segment as the 101 is not lost`() async throws {
        // A final binary frame of 5 bytes, unmasked (RFC 6455 §5.2).
        let server = try await RawServer.start { request in
            try? RawServer.upgradeAnswer(to: request, followedBy: ByteBuffer(bytes: [0x82, 5] + Array("early".utf8)))
        }
        let link = try await self.attempt(server.url).get()
        #expect(await link.next() == .message(ByteBuffer(string: "early")))
        try await server.stop()
    }

    @Test func `a message in the same segment as the request is not lost`() async throws {
        let (links, continuation) = AsyncStream.makeStream(of: LinkProbe.self)
        let server = try await LoopbackServer.start(.http) { continuation.yield(LinkProbe($0)) }
        let request = """
            GET /prefix/pub/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
            """
        var bytes = ByteBuffer(string: request)
        bytes.writeBytes([0x82, 0x85, 0, 0, 0, 0] + Array("early".utf8))
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: Int(server.url.port)).get()
        try await channel.writeAndFlush(bytes)
        for await link in links {
            #expect(await link.next() == .message(ByteBuffer(string: "early")))
            break
        }
        try await channel.close()
        try await server.stop()
    }

    @Test(arguments: [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 Not Found", "path"),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nabc", "502", "proxy"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200", "WebSocket upgrades"),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "302", "WebSocket upgrades"),
    ])
    func `an answer other than 101 is reported with its status`(
        answer: String, status: String, advice: String
    ) async throws {
        let server = try await RawServer.start { _ in ByteBuffer(string: answer) }
        guard case .failure(let error) = try await self.attempt(server.url) else {
            Issue.record("upgraded")
            return
        }
        #expect("\(error)".contains(status) && "\(error)".contains("/sub/ws"), "\(error)")
        #expect(error.advice?.contains(advice) == true)
        try await server.stop()
    }

    @Test(arguments: [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: bm90IGl0\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2p1\r\n",
    ])
    func `a wrong upgrade is refused`(answer: String) async throws {
        let server = try await RawServer.start { _ in ByteBuffer(string: answer) }
        guard case .failure(.notAServer) = try await self.attempt(server.url) else {
            Issue.record("not refused")
            return
        }
        try await server.stop()
    }

    @Test(arguments: ["", "\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}\u{46}"])
    func `a server that hangs up without an answer, or with a TLS alert, may want https`(answer: String) async throws {
        let server = try await RawServer.start(thenCloses: true) { _ in ByteBuffer(string: answer) }
        guard case .failure(let error) = try await self.attempt(server.url), case .wrongScheme(_, let url) = error
        else {
            Issue.record("not told")
            return
        }
        #expect(url.description == "https://127.0.0.1:\(server.url.port)")
        #expect("\(error)".contains("TLS"))
        #expect(error.advice == "try https://127.0.0.1:\(server.url.port)")
        try await server.stop()
    }

    @Test func `http:// to a port that speaks TLS gets advice`() async throws {
        let server = try await LoopbackServer.start(.https, identity: .selfSigned(commonName: "test")) { $0.close() }
        let url = ServerURL(scheme: .http, host: "127.0.0.1", port: server.url.port, prefix: "/prefix")
        guard case .failure(.wrongScheme(_, server.url)) = try await self.attempt(url) else {
            Issue.record("not told")
            return
        }
        try await server.stop()
    }

    @Test func `a port without a listener is reported with its address`() async throws {
        let server = try await RawServer.start { _ in nil }
        try await server.stop()
        guard case .failure(.unreachable(let attempts)) = try await self.attempt(server.url) else {
            Issue.record("not told")
            return
        }
        #expect(attempts == [.init(address: "127.0.0.1:\(server.url.port)", reason: "connection refused")])
    }

    @Test func `an unknown name is reported`() async throws {
        let url = try ServerURL(parsing: "http://no-such-host.invalid:1")
        guard case .failure(.unresolved(host: "no-such-host.invalid", _)) = try await self.attempt(url) else {
            Issue.record("not told")
            return
        }
        guard case .failure(.unresolved) = try await self.attempt(try ServerURL(parsing: "quic://no-such-host.invalid"))
        else {
            Issue.record("not told over QUIC")
            return
        }
    }

    @Test func `https:// to a plain port gets advice`() async throws {
        let server = try await RawServer.start { _ in ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n") }
        let url = ServerURL(scheme: .https, host: "127.0.0.1", port: server.url.port, prefix: "")
        guard case .failure(let error) = try await self.attempt(url), case .wrongScheme(let words, server.url) = error
        else {
            Issue.record("not told")
            return
        }
        #expect(words.contains("not with TLS"))
        #expect(error.advice?.contains("http://127.0.0.1:\(server.url.port)") == true)
        try await server.stop()
    }

    @Test func `frames that break the protocol close the link`() async throws {
        for bytes: [UInt8] in [
            [0x82, 0x81, 1, 2, 3, 4, 5],  // Masked, from a server.
            [0x81, 0x01, 0x41],  // Text.
            [0x80, 0x00],  // A continuation of nothing.
            [0x83, 0x00],  // An unknown opcode.
            [0xc2, 0x00],  // A reserved bit.
            [0x89, 0x7e, 0x01, 0x00],  // A ping of 256 bytes.
            [0x09, 0x00],  // A fragmented ping.
            [0x82, 0x7f, 0, 0, 0, 0, 0, 4, 0, 1],  // One byte more than the limit.
            [0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            let server = try await RawServer.start { request in
                try? RawServer.upgradeAnswer(to: request, followedBy: ByteBuffer(bytes: bytes))
            }
            let link = try await self.attempt(server.url).get()
            guard case .closed(.some) = await link.next() else {
                Issue.record("\(bytes)")
                return
            }
            try await server.stop()
        }
    }
}
