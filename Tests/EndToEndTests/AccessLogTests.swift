import Foundation
import TestSupport
import Testing

/// `--access-log`: who used what, as the real programs write it.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct AccessLogTests {
    /// The fields of the lines of a file, once there are `count`.
    private func lines(_ path: String, count: Int) async throws -> [[String: String]] {
        try await eventually(within: .seconds(10), "\(count) lines in \(path)") { Self.read(path).count >= count }
        return Self.read(path)
    }

    private static func read(_ path: String) -> [[String: String]] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map { line in
            Dictionary(
                line.split(separator: " ").dropFirst().compactMap { field in
                    let parts = field.split(separator: "=", maxSplits: 1).map(String.init)
                    return parts.count == 2 ? (parts[0], parts[1]) : nil
                }, uniquingKeysWith: { first, _ in first })
        }
    }

    @Test(arguments: SignalScheme.allCases, ["direct", "bridge"])
    func `proxy and agent tell of each connection, with what has passed`(
        scheme: SignalScheme, mode: String
    ) async throws {
        let cluster = try await Cluster(scheme)
        let (ofAgent, ofSocks) = (cluster.folder.file("agent.log"), cluster.folder.file("socks.log"))
        let agent = try await cluster.agent("egress", options: ["--access-log", ofAgent, "--p2p", mode])
        let socks = try await cluster.socks(options: ["--access-log", ofSocks, "--p2p", mode])
        let echo = try TCPService.echo()
        do {
            let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
            try await onThread { try connection.send([1, 2, 3]) }
            #expect(try await onThread { try connection.receive(exactly: 3) } == [1, 2, 3])
        }
        let closedPort = try FreePort.next()
        _ = try? await SOCKSTestClient.connect5(proxy: socks.port, port: closedPort)

        let seen = try await self.lines(ofSocks, count: 2)
        let target = "127.0.0.1:\(echo.port)"
        let line = try #require(seen.first { $0["target"] == target })
        #expect(line["kind"] == "socks5" && line["agent"] == "egress" && line["path"] == mode)
        #expect(line["sent"] == "3" && line["received"] == "3")
        #expect(line["client"]?.hasPrefix("127.0.0.1:") == true && line["start"]?.hasSuffix("Z") == true)
        let refused = try #require(seen.first { $0["target"] == "127.0.0.1:\(closedPort)" })
        #expect(refused["outcome"] == "refused" && refused["sent"] == "0")

        let atAgent = try await self.lines(ofAgent, count: 2)
        let same = try #require(atAgent.first { $0["target"] == target })
        #expect(same["kind"] == "tcp" && same["resolved"] == target && same["path"] == mode)
        #expect(same["sent"] == "3" && same["received"] == "3" && same["outcome"] == line["outcome"])
        #expect(atAgent.contains { $0["outcome"] == "refused" })
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `both ends of a relay tell of each flow`() async throws {
        let cluster = try await Cluster(.quic)
        let (ofAgent, ofRelay) = (cluster.folder.file("agent.log"), cluster.folder.file("relay.log"))
        let agent = try await cluster.agent("egress", options: ["--access-log", ofAgent])
        let target = try UDPEchoService()
        let relay = try await cluster.relay(
            ["127.0.0.1:0?to=127.0.0.1:\(target.port)"],
            options: ["--access-log", ofRelay, "--udp-idle-timeout", "500ms"])
        let answer = try await onThread {
            try DatagramSocket(connectedTo: relay.port).answer(to: [4, 5, 6, 7], within: .seconds(10))
        }
        #expect(answer == [4, 5, 6, 7])
        for (path, outcome) in [(ofRelay, "idle"), (ofAgent, "closed")] {
            let line = try #require(try await self.lines(path, count: 1).first)
            #expect(line["kind"] == "udp" && line["target"] == "127.0.0.1:\(target.port)")
            #expect(line["outcome"] == outcome && line["received"] == "4")
        }
        await stopAll([cluster.server, agent.program, relay.program])
    }

    @Test func `a rotated file is opened anew, JSON has numbers, and a bad file is an error`() async throws {
        let cluster = try await Cluster(.quic)
        let file = cluster.folder.file("access.log")
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks(options: [
            "--access-log", file, "--log-format", "json", "--log-file", cluster.folder.file("log"),
        ])
        let echo = try TCPService.echo()
        func use() async throws { _ = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port) }
        try await use()
        try await eventually(within: .seconds(10), "a line") { !Self.read(file).isEmpty }
        let line = try String(contentsOfFile: file, encoding: .utf8)
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["sent"] as? Int == 0 && object?["kind"] as? String == "socks5")

        try FileManager.default.moveItem(atPath: file, toPath: file + ".1")
        socks.program.signal(SIGHUP)
        try await eventually(within: .seconds(10), "a new file") { FileManager.default.fileExists(atPath: file) }
        try await use()
        try await eventually(within: .seconds(10), "a line") { !Self.read(file).isEmpty }
        await stopAll([socks.program])

        let wrong = try cluster.launchSocks(options: ["--access-log", "/nowhere/access.log"])
        #expect(try await wrong.end() == .exit(69))
        #expect(wrong.errors.text.contains("cannot open the access log /nowhere/access.log"))
        await stopAll([cluster.server, agent.program])
    }
}
