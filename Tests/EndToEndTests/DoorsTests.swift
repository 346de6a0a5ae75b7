import Foundation
import Glibc
import TestSupport
import Testing

/// What a stranger, or one holder of the secret, can do to everybody else: nothing.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct DoorsTests {
    /// A server behind a proxy that terminates TLS, as one says: it takes plain HTTP.
    private static func plainServer(_ options: [String] = []) async throws -> (program: RunningProgram, port: Int) {
        let server = try RunningProgram(
            "rtun-server", ["--addr", "127.0.0.1:0", "--stun-port", "off"] + options,
            environment: ["RTUN_SECRET": Cluster.secret])
        return (server, try await Cluster.readyPort(of: server))
    }

    /// Becomes a WebSocket, and reads the server's first frame unless it waits.
    private static func webSocket(port: Int, headers: String = "") throws -> BlockingSocket {
        let socket = try BlockingSocket(connectingTo: "127.0.0.1", port: port)
        try socket.send(
            "GET /sub/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\(headers)\r\n")
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) { head += try socket.receive(1) }
        return socket
    }

    /// Lets proofs of the secret fail until the address has to wait.
    private static func exhaustPatience(port: Int) async throws {
        for _ in 0..<12 {
            let agent = try RunningProgram(
                "rtun-agent", ["http://127.0.0.1:\(port)", "--agent", "a"], environment: ["RTUN_SECRET": "wrong"])
            _ = try await agent.end(within: .seconds(20))
        }
    }

    @Test(arguments: [0, 1]) func `frames that pile up before the proof cost the server next to nothing`(
        length: Int
    ) async throws {
        // As many waiting connections as a proxy's address may have fail first.
        let (server, port) = try await Self.plainServer(["--trusted-proxy", "127.0.0.1"])
        let before = try server.residentBytes().now
        let socket = try Self.webSocket(port: port, headers: "X-Forwarded-For: 203.0.113.5\r\n")
        let frame: [UInt8] = [0x82, 0x80 | UInt8(length), 0, 0, 0, 0] + [UInt8](repeating: 0, count: length)
        let flood = [UInt8]((0..<10_000).map { _ in frame }.joined())
        try await onThread {
            let end = ContinuousClock.now + .seconds(2)
            while ContinuousClock.now < end, (try? socket.send(flood)) != nil {}
        }
        let after = try server.residentBytes().now
        #expect(after < before + 10_000_000, "\(before) bytes, and \(after) after the flood")
        #expect(kill(server.pid, 0) == 0)
        await stopAll([server])
    }

    @Test func `connections that say nothing keep nobody out`() async throws {
        let cluster = try await Cluster(.https)
        var strangers: [BlockingSocket] = []
        for _ in 0..<500 { strangers.append(try BlockingSocket(connectingTo: "127.0.0.1", port: cluster.port)) }
        let agent = try await cluster.agent("egress")
        _ = consume strangers
        await stopAll([cluster.server, agent.program])
    }

    @Test func `silent SOCKS clients keep nobody out`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks(options: ["--max-connections", "20"])
        let echo = try TCPService.echo()
        let open = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        let silent = try (0..<24).map { _ in try BlockingSocket(connectingTo: "127.0.0.1", port: socks.port) }
        let begin = ContinuousClock.now
        let next = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        #expect(ContinuousClock.now - begin < .seconds(5))
        for connection in [open, next] {
            let answer = try await onThread {
                try connection.send("still here")
                return try connection.receive(exactly: 10)
            }
            #expect(answer == Array("still here".utf8))
        }
        withExtendedLifetime(silent) {}
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `a trusted proxy's peers are slowed down one by one, and the log has their addresses`() async throws {
        let (server, port) = try await Self.plainServer(["--trusted-proxy", "127.0.0.0/8"])
        try await Self.exhaustPatience(port: port)
        // Those have come without the header, from the proxy's own address. Another peer of it is served at once.
        let socket = try Self.webSocket(port: port, headers: "X-Forwarded-For: 203.0.113.5\r\n")
        let hello = try await onThread { try socket.receive(2) }
        #expect(hello.first == 0x82)
        await stopAll([server])
    }
}
