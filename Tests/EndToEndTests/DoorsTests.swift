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
            "rtun-server", ["--addr", "127.0.0.1:0", "--stun-port", "off", "--log-level", "debug"] + options,
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

    /// A WebSocket that floods the server for 2 s with frames of a length, over TLS; what is not read, waits.
    private static let flood = #"""
        import socket, ssl, sys, time
        port, length = int(sys.argv[1]), int(sys.argv[2])
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
        s.sendall(b"GET /sub/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        s.settimeout(1)
        frames = (b"\x82" + bytes([0x80 | length]) + bytes(4 + length)) * 10000
        end = time.monotonic() + 2
        try:
            while time.monotonic() < end:
                s.sendall(frames)
        except OSError:
            pass
        print("done")
        """#

    @Test(arguments: [0, 1]) func `frames that pile up while a connection waits cost the server next to nothing`(
        length: Int
    ) async throws {
        let cluster = try await Cluster(.https)
        // Until the address has to wait for its next try.
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<12 {
                group.addTask {
                    let agent = try? cluster.launchAgent("a", secret: "wrong")
                    _ = try? await agent?.end(within: .seconds(20))
                }
            }
        }
        let before = try cluster.server.residentBytes().now
        let script = try cluster.folder.write("flood.py", Self.flood)
        let output = try await ShellCommand.run("python3 '\(script)' \(cluster.port) \(length)")
        #expect(output.contains("done"))
        let after = try cluster.server.residentBytes().now
        #expect(after < before + 20_000_000, "\(before) bytes, and \(after) after the flood")
        await stopAll([cluster.server])
    }

    /// One connection of one address, and then more of another address than there are places.
    private static let crowd = """
        import resource, socket, sys
        port = int(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        mine = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
        others = [socket.create_connection(("127.0.0.1", port)) for _ in range(4200)]
        mine.settimeout(0.5)
        try:
            print("closed", mine.recv(1))
        except TimeoutError:
            print("kept")
        """

    @Test func `a source that takes all places displaces only its own connections`() async throws {
        let cluster = try await Cluster(.https)
        let script = try cluster.folder.write("crowd.py", Self.crowd)
        let output = try await ShellCommand.run("python3 '\(script)' \(cluster.port)")
        #expect(output.contains("kept"), "\(output)")
        let agent = try await cluster.agent("egress")
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

    @Test func `a peer behind a trusted proxy is known by its own address`() async throws {
        let (server, port) = try await Self.plainServer(["--trusted-proxy", "127.0.0.0/8"])
        let socket = try Self.webSocket(port: port, headers: "X-Forwarded-For: 203.0.113.5\r\n")
        let hello = try await onThread { try socket.receive(2) }
        #expect(hello.first == 0x82)
        // Not a word of the handshake: the log says who that was.
        try await onThread { try socket.send([0x82, 0x81, 0, 0, 0, 0, 0xFF]) }
        _ = try await server.logLine("the failed handshake") {
            $0.contains("event=handshake.failed") && $0.contains("remote=203.0.113.5")
        }
        await stopAll([server])
    }
}
