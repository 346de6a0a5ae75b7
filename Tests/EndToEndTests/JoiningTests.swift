import Foundation
import TestSupport
import Testing

/// A server that makes its own state, and programs that join it with nothing but a link.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct JoiningTests {
    /// A link that leaves one transport.
    private static func over(_ transport: String, _ link: String) -> String {
        link.replacingOccurrences(of: "transports=quic,https", with: "transports=\(transport)")
    }

    private static func link(_ links: [String: String], _ program: String) throws -> String {
        try #require(links[program])
    }

    @Test(arguments: ["quic", "https", "quic,https"])
    func `a link is all that a program needs`(transport: String) async throws {
        let server = try await JoinedServer()
        let links = try await server.links()
        #expect(links.keys.sorted() == ["rtun-agent", "rtun-relay", "rtun-socks"])
        let agentLink = Self.over(transport, try Self.link(links, "rtun-agent"))
        let clientLink = Self.over(transport, try Self.link(links, "rtun-socks"))
        let agent = try RunningProgram("rtun-agent", [agentLink, "--agent", "joined"])
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready agent=joined ") }
        let connected = try await agent.logLine("the transport") { $0.contains("event=signal.connected") }
        #expect(connected.contains("transport=\(transport.prefix { $0 != "," })"))
        let socks = try RunningProgram("rtun-socks", ["--listen", "127.0.0.1:0", clientLink])
        let ready = try await socks.line("the ready line") { $0.hasPrefix("rtun-socks ready ") }
        let port = try #require(ready.split(separator: ":").last.flatMap { Int($0) })
        let echo = try TCPService.echo()
        let connection = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
        try await onThread {
            try connection.send(Array("through a link".utf8))
            #expect(try connection.receive(exactly: 14) == Array("through a link".utf8))
        }
        let relay = try RunningProgram(
            "rtun-relay",
            ["-L", "127.0.0.1:0?to=127.0.0.1:9", Self.over(transport, try Self.link(links, "rtun-relay"))])
        _ = try await relay.logLine("the relay's channel") { $0.contains("event=agent.selected") }
        // Nobody else on the machine sees the secret, and nobody finds it in a log.
        for (program, link) in [(agent, agentLink), (socks, clientLink)] {
            let secret = try #require(link.split(separator: "#").last)
            let shown = try String(contentsOfFile: "/proc/\(program.pid)/cmdline", encoding: .utf8)
            #expect(shown.contains("rtun://") && !shown.contains(secret))
            #expect(!program.errors.text.contains(secret) && !server.program.errors.text.contains(secret))
        }
        await stopAll([server.program, agent, socks, relay])
    }

    @Test func `a second start keeps everything, and those who have joined come back`() async throws {
        let folder = try TestFolder()
        let first = try await JoinedServer(in: folder)
        let before = try await first.links()
        #expect(first.program.errors.text.contains("event=state.made"))
        #expect(first.program.errors.text.contains("--print-links"))
        let agent = try RunningProgram("rtun-agent", [try Self.link(before, "rtun-agent"), "--agent", "stays"])
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        let known = agent.errors.lines.count
        await first.program.stop()
        let second = try await JoinedServer(in: folder, port: first.port)
        #expect(try await second.links() == before)
        #expect(second.program.errors.text.contains("event=state.read"))
        _ = try await agent.logLine(within: .seconds(20), "the agent is back", from: known) {
            $0.contains("event=signal.connected")
        }
        await stopAll([second.program, agent])
    }

    @Test func `a link of the other role is refused, here and by the server`() async throws {
        let server = try await JoinedServer()
        let agentLink = try Self.link(try await server.links(), "rtun-agent")
        let client = try RunningProgram("rtun-socks", ["--listen", "127.0.0.1:0", agentLink])
        #expect(try await client.end() == .exit(64))
        #expect(client.errors.text.contains("it is a link for rtun-agent"))
        let secret = try #require(agentLink.split(separator: "#").last)
        #expect(!client.errors.text.contains(secret))
        for transport in ["quic", "https"] {
            let forged = Self.over(transport, agentLink).replacingOccurrences(of: "role=agent", with: "role=client")
            let refused = try RunningProgram("rtun-socks", ["--listen", "127.0.0.1:0", forged])
            #expect(try await refused.end() == .exit(77))
            #expect(refused.errors.text.contains("this secret is for agents"))
        }
        _ = try await server.program.logLine("the refusal") {
            $0.contains("event=auth.failed") && $0.contains("reason=role")
        }
        await stopAll([server.program])
    }

    @Test(arguments: ["quic", "https", "quic,https"])
    func `a server with another key than the link's is not believed, and tried again`(transport: String) async throws {
        let server = try await JoinedServer()
        let link = Self.over(transport, try Self.link(try await server.links(), "rtun-agent"))
        let parts = link.split(separator: "&").map {
            $0.hasPrefix("pin=") ? "pin=\(String(repeating: "B", count: 42))A" : $0
        }
        let agent = try RunningProgram(
            "rtun-agent", [parts.joined(separator: "&"), "--agent", "x", "--log-level", "debug"])
        let line = try await agent.logLine("the refusal") { $0.contains("the pinned one") }
        #expect(line.contains("retry_in_ms=") && line.contains("--print-links") && !line.contains("insecure"))
        #expect(agent.isRunning && agent.output.lines.isEmpty)
        await stopAll([server.program, agent])
    }

    @Test func `a link comes from a file and from the environment as well`() async throws {
        let server = try await JoinedServer()
        let links = try await server.links()
        let file = try server.folder.write(
            "links", links.sorted { $0.key < $1.key }.map { "\($0.key) '\($0.value)'\n" }.joined())
        try await ShellCommand.run("chmod 600 '\(file)'")
        let agent = try RunningProgram("rtun-agent", ["--link-file", file, "--agent", "of-a-file"])
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        // A secret in the environment alone is for something else.
        let list = try RunningProgram(
            "rtun-socks", ["--list-agents"],
            environment: ["RTUN_LINK": try Self.link(links, "rtun-socks"), "RTUN_SECRET": "of another server"])
        #expect(try await list.end() == .exit(0))
        #expect(list.output.text.contains("of-a-file"))
        let both = try RunningProgram(
            "rtun-socks", ["--list-agents", "--link-file", file, try Self.link(links, "rtun-socks")])
        #expect(try await both.end() == .exit(64))
        await stopAll([server.program, agent])
    }

    @Test func `--check goes by a link`() async throws {
        let server = try await JoinedServer()
        let links = try await server.links()
        let agent = try RunningProgram("rtun-agent", [try Self.link(links, "rtun-agent"), "--agent", "a"])
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        for program in ["rtun-socks", "rtun-agent"] {
            let check = try RunningProgram(program, [try Self.link(links, program), "--check", "--agent", "a"])
            let ending = try await check.end(within: .seconds(20))
            #expect(ending == .exit(0), "\(check.output.text)")
            #expect(check.output.lines.first == "\(program) checks rtun://127.0.0.1:\(server.port)")
            #expect(check.output.text.contains("the key is the one that the link pins"))
        }
        #expect(agent.isRunning)
        await stopAll([server.program, agent])
    }

    @Test func `with an authority's certificate the link has no pin, and --ca-cert counts`() async throws {
        let folder = try TestFolder()
        let files = try await TestCertificates(in: folder)
        let options = ["--https-cert", files.certificate, "--https-key", files.key]
        let server = try await JoinedServer(in: folder, options: options)
        let links = try await server.links(options + ["--public-name", "localhost"])
        let link = try Self.link(links, "rtun-agent")
        #expect(!link.contains("pin=") && link.hasPrefix("rtun://localhost:\(server.port)/"))
        for transport in ["quic", "https"] {
            let agent = try RunningProgram(
                "rtun-agent", [Self.over(transport, link), "--agent", "x", "--ca-cert", files.authority])
            _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
            let stranger = try RunningProgram("rtun-agent", [Self.over(transport, link), "--agent", "y"])
            _ = try await stranger.logLine("the untrusted certificate") { $0.contains("not trusted") }
            await stopAll([agent, stranger])
        }
        await stopAll([server.program])
    }

    @Test(
        .enabled(if: EgressNamespace.isAvailable, "needs root, for a network namespace"),
        arguments: [("udp", "https"), ("tcp", "quic")])
    func `where one transport is blocked the other one is taken`(blocked: String, taken: String) async throws {
        let namespace = try await EgressNamespace()
        let server = try await JoinedServer(address: "0.0.0.0")
        let links = try await server.links(["--public-name", namespace.hostAddress])
        let link = try Self.link(links, "rtun-agent")
        try await ShellCommand.run(
            """
            ip netns exec \(namespace.name) nft -f - <<'END'
            table inet blocked {
                chain input {
                    type filter hook input priority 0;
                    \(blocked) sport \(server.port) drop
                }
            }
            END
            """)
        let agent = try namespace.launch("rtun-agent", [link, "--agent", "inside"], environment: [:])
        _ = try await agent.line(within: .seconds(15), "the ready line") { $0.hasPrefix("rtun-agent ready ") }
        let connected = try await agent.logLine("the connection") { $0.contains("event=signal.connected") }
        #expect(connected.contains("transport=\(taken)"))
        await stopAll([server.program, agent])
    }

    @Test func `what a shell leaves of a link is explained`() async throws {
        for (argument, words) in [
            ("rtun://h:8888/?transports=quic,https", "single quotes"), ("rtun://h:8888/?length=43#abc", "it was cut"),
            ("rtun://h:8888/?pin=abc#secretsecret", "pin"),
        ] {
            let program = try RunningProgram("rtun-socks", [argument])
            #expect(try await program.end() == .exit(64))
            #expect(program.errors.text.contains(words) && !program.errors.text.contains("secretsecret"))
        }
        let server = try RunningProgram("rtun-server", ["rtun://h:8888/#secretsecret"])
        #expect(try await server.end() == .exit(64))
        #expect(!server.errors.text.contains("secretsecret"))
    }

    @Test func `tokens are made with the server's own key, while it runs and while it does not`() async throws {
        let server = try await JoinedServer()
        let token = try RunningProgram(
            "rtun-server", ["--state-dir", JoinedServer.state(in: server.folder), "--print-sessions-token", "1h"])
        #expect(try await token.end() == .exit(0))
        let answer = try await ShellCommand.run(
            """
            curl -sk -H 'Authorization: Bearer \(token.output.lines[0])' https://127.0.0.1:\(server.port)/pub/sessions
            """)
        #expect(answer.hasPrefix("{\"sessions\":["))
        await stopAll([server.program])
    }
}
