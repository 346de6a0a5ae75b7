import Foundation
import TLS
import TestSupport
import Testing

/// The logins of one proxy share the streams of an agent.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct LoginShareTests {
    private static let logins = ["--auth", "greedy:one", "--auth", "modest:two"]

    /// With a key that is kept, so that the agent keeps nothing for others that have one.
    private func kept(in cluster: Cluster) -> [String] { ["--identity", cluster.folder.file("socks.pem")] }

    /// A SOCKS 5 request with a login: the reply's code and the connection.
    private func socks(_ user: String, _ password: String, proxy: Int, port: Int) async throws -> (
        UInt8, BlockingSocket
    ) {
        try await onThread {
            let connection = try BlockingSocket(connectingTo: "127.0.0.1", port: proxy)
            try connection.send([5, 1, 2])
            _ = try connection.receive(exactly: 2)
            try connection.send(
                [1, UInt8(user.utf8.count)] + Array(user.utf8) + [UInt8(password.utf8.count)] + Array(password.utf8))
            _ = try connection.receive(exactly: 2)
            try connection.send([5, 1, 0, 1, 127, 0, 0, 1, UInt8(port >> 8), UInt8(port & 255)])
            return (try connection.receive(exactly: 10)[1], connection)
        }
    }

    /// CONNECT with a login (`user:password` in Base64): the status and the connection.
    private func connect(_ login: String, proxy: Int, port: Int) async throws -> (String, BlockingSocket) {
        try await onThread {
            let connection = try BlockingSocket(connectingTo: "127.0.0.1", port: proxy)
            try connection.send(
                "CONNECT 127.0.0.1:\(port) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n"
                    + "Proxy-Authorization: Basic \(login)\r\n\r\n")
            return (String(decoding: try connection.receive(), as: UTF8.self), connection)
        }
    }

    @Test(arguments: SignalScheme.allCases)
    func `one that opens all it can leaves room for the other, by SOCKS and by HTTP`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let (agent, _) = try await cluster.agent("office", options: ["--max-streams", "16"])
        let echo = try TCPService.echo()
        let access = cluster.folder.file("access")
        let socks = try await cluster.socks(options: Self.logins + self.kept(in: cluster) + ["--access-log", access])
        // The tunnel has 14 streams, of which the last are for whoever comes.
        var open: [BlockingSocket] = []
        var refused = 0
        for _ in 0..<20 {
            let (reply, connection) = try await self.socks("greedy", "one", proxy: socks.port, port: echo.port)
            if reply == 0 { open.append(connection) } else { #expect(reply == 1); refused += 1 }
        }
        #expect(open.count == 12 && refused == 8)
        _ = try await socks.program.logLine("the limit") {
            $0.contains("event=login.limited") && $0.contains("user=greedy") && $0.contains("reason=reserve")
        }
        let (reply, modest) = try await self.socks("modest", "two", proxy: socks.port, port: echo.port)
        #expect(reply == 0)
        let (head, second) = try await self.connect("bW9kZXN0OnR3bw==", proxy: socks.port, port: echo.port)
        #expect(head.hasPrefix("HTTP/1.1 200"))
        // It carries data, beside all that the other one holds.
        let echoed = try await onThread {
            try second.send([7])
            return try second.receive(exactly: 1)
        }
        #expect(echoed == [7])

        // With the other active the greedy one has more than its half, and gets no more.
        let (busy, _) = try await self.connect("Z3JlZWR5Om9uZQ==", proxy: socks.port, port: echo.port)
        #expect(busy.hasPrefix("HTTP/1.1 503") && busy.contains("its half of the 14 streams"))
        _ = try await socks.program.logLine("the half") {
            $0.contains("event=login.limited") && $0.contains("reason=half")
        }
        // Eight of one kind, one of the other.
        try await eventually(within: .seconds(10), "the refusals in the access log") {
            let lines = try String(contentsOfFile: access, encoding: .utf8).split(separator: "\n")
            return lines.count { $0.contains("outcome=limit") } == 9
        }
        withExtendedLifetime((open, modest, echo)) {}
        await stopAll([cluster.server, agent, socks.program])
    }

    @Test func `one that has all that the agent gives the client leaves the next place to the other`() async throws {
        let cluster = try await Cluster(.quic)
        let file = cluster.folder.file("socks.pem")
        let key = try ProcessIdentity.keeping(in: file, commonName: "test").fingerprint
        let clients = try cluster.folder.write("clients", "\(key) max-streams=8\n")
        let (agent, _) = try await cluster.agent("office", options: ["--authorized-clients", clients])
        let echo = try TCPService.echo()
        let socks = try await cluster.socks(options: Self.logins + self.kept(in: cluster))
        var open: [BlockingSocket] = []
        for _ in 0..<10 {
            let (reply, connection) = try await self.socks("greedy", "one", proxy: socks.port, port: echo.port)
            if reply == 0 { open.append(connection) }
        }
        #expect(open.count == 8)
        async let modest = self.socks("modest", "two", proxy: socks.port, port: echo.port)
        try await Task.sleep(for: .seconds(1))
        open.removeLast().reset()
        let (reply, connection) = try await modest
        #expect(reply == 0)
        let (greedy, _) = try await self.socks("greedy", "one", proxy: socks.port, port: echo.port)
        #expect(greedy == 1)
        withExtendedLifetime((open, connection, echo)) {}
        await stopAll([cluster.server, agent, socks.program])
    }

    @Test func `a single login has all of them`() async throws {
        let cluster = try await Cluster(.quic)
        let (agent, _) = try await cluster.agent("office", options: ["--max-streams", "16"])
        let echo = try TCPService.echo()
        let socks = try await cluster.socks(options: ["--auth", "greedy:one"] + self.kept(in: cluster))
        var open: [BlockingSocket] = []
        for _ in 0..<14 {
            let (reply, connection) = try await self.socks("greedy", "one", proxy: socks.port, port: echo.port)
            #expect(reply == 0)
            open.append(connection)
        }
        withExtendedLifetime((open, echo)) {}
        await stopAll([cluster.server, agent, socks.program])
    }
}
