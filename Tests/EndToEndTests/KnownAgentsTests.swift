import Basics
import Foundation
import Synchronization
import TestSupport
import Testing

/// `--known-agents`: whoever shows another key than an agent's own gets nothing of a client.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct KnownAgentsTests {
    private let stranger = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"

    /// The options with which an agent keeps a key, and what that is.
    private func identity(_ name: String, in cluster: Cluster) async throws -> (options: [String], key: String) {
        let options = ["--identity", cluster.folder.file("\(name).pem")]
        let program = try RunningProgram("rtun-agent", ["--print-identity"] + options)
        #expect(try await program.end() == .exit(0))
        return (options, try #require(program.output.lines.first))
    }

    private func isRefusal(_ reason: String, _ line: String) -> Bool {
        line.contains("event=peer.refused") && line.contains("reason=\(reason)")
    }

    // MARK: The first use

    @Test(arguments: SignalScheme.allCases)
    func `the first key is written down once, and another one is refused until the file has it`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let echo = try TCPService.echo()
        let (first, second) = (
            try await self.identity("first", in: cluster), try await self.identity("second", in: cluster)
        )
        let file = cluster.folder.file("known")
        let trust = ["--known-agents", file, "--trust-on-first-use"]
        let (agent, _) = try await cluster.agent("office", options: first.options)

        for isFirst in [true, false] {
            let (socks, port) = try await cluster.socks(options: trust)
            _ = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
            #expect(socks.errors.text.contains("event=agent.key_recorded") == isFirst)
            await socks.kill9()
        }
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(text.hasPrefix("office \(first.key) first used ") && text.split(separator: "\n").count == 1)
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)

        // It runs while somebody else gets the name.
        let (socks, port) = try await cluster.socks(options: trust)
        _ = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
        agent.signal(SIGTERM)
        #expect(try await agent.end() == .exit(0))
        let (other, _) = try await cluster.agent("office", options: second.options)
        let refusal = try await socks.logLine("the refusal") { self.isRefusal("key_changed", $0) }
        #expect(refusal.contains("expected=\(first.key)") && refusal.contains("got=\(second.key)"))
        #expect(try await SOCKSTestClient.request5(proxy: port, .loopback, port: echo.port).reply == 1)
        #expect(socks.isRunning)

        // One that starts now ends as for a server without the secret.
        for program in [
            try cluster.launchSocks(options: trust),
            try cluster.launchRelay(["127.0.0.1:0?to=127.0.0.1:9"], options: trust),
            try cluster.launchRelay(["tcp://127.0.0.1:0?to=127.0.0.1:9"], options: trust),
        ] {
            #expect(try await program.end() == .exit(77))
            let last = try #require(program.errors.lines.last)
            #expect(last.contains(first.key) && last.contains(second.key) && last.contains("line 1 of \(file)"))
        }

        // The running one takes the corrected file by itself.
        try Data("office \(second.key)\n".utf8).write(to: URL(fileURLWithPath: file))
        _ = try await socks.logLine("the agent") { $0.contains("known_agents.reloaded") }
        _ = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
        withExtendedLifetime(echo) {}
        await stopAll([cluster.server, other, socks])
    }

    @Test func `a key that the agent does not keep is written down with a warning`() async throws {
        let cluster = try await Cluster(.quic)
        let (agent, _) = try await cluster.agent("office")
        let echo = try UDPEchoService()
        let file = cluster.folder.file("known")
        let relay = try await cluster.relay(
            ["127.0.0.1:0?to=127.0.0.1:\(echo.port)", "127.0.0.1:0?to=127.0.0.1:\(echo.port)"],
            options: ["--known-agents", file, "--trust-on-first-use"])
        let lines = relay.program.errors.lines.filter { $0.contains("event=agent.key_recorded") }
        #expect(lines.count == 1)
        #expect(lines.first?.contains("give the agent --identity") == true)
        for port in relay.ports {
            let client = try DatagramSocket(connectedTo: port)
            #expect(try client.answer(to: [1, 2, 3], within: .seconds(5)) == [1, 2, 3])
        }
        withExtendedLifetime(echo) {}
        await stopAll([cluster.server, agent, relay.program])
    }

    @Test func `a key that cannot be written down is not believed`() async throws {
        let cluster = try await Cluster(.https)
        let (agent, _) = try await cluster.agent("office")
        let file = cluster.folder.file("known")
        let socks = try await cluster.socks(options: [
            "--known-agents", file, "--trust-on-first-use", "--agent", "#office",
        ])
        await agent.kill9()
        // No line can have that name.
        let (strange, _) = try await cluster.agent("#office")
        _ = try await socks.program.logLine("the refusal") { self.isRefusal("key_not_recorded", $0) }
        #expect(try await SOCKSTestClient.request5(proxy: socks.port, .loopback, port: 9).reply == 1)
        #expect(try String(contentsOfFile: file, encoding: .utf8).isEmpty)
        await stopAll([cluster.server, strange, socks.program])
    }

    // MARK: Known and unknown ones

    @Test func `an agent that is not known is refused, with the line that would let it in`() async throws {
        let cluster = try await Cluster(.https)
        let (options, key) = try await self.identity("agent", in: cluster)
        let (agent, _) = try await cluster.agent("office", options: options)
        let file = try cluster.folder.write("known", "# nobody\r\n")
        let socks = try cluster.launchSocks(options: ["--known-agents", file])
        #expect(try await socks.end() == .exit(77))
        #expect(socks.errors.text.contains("add to \(file): office \(key)"))
        #expect(socks.errors.lines.contains { self.isRefusal("agent_unknown", $0) })
        await stopAll([cluster.server, agent])
    }

    @Test func `one with another key is passed over, and told of`() async throws {
        let cluster = try await Cluster(.quic)
        let echo = try TCPService.echo()
        let good = try await self.identity("good", in: cluster)
        let (office, _) = try await cluster.agent("office", options: good.options + ["--expire-in", "1h"])
        // It would be chosen: it never expires.
        let (home, _) = try await cluster.agent("home")
        let file = try cluster.folder.write("known", "office \(good.key)\nhome \(self.stranger)\n")
        let socks = try await cluster.socks(options: ["--known-agents", file])
        _ = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        let refusal = try await socks.program.logLine("the refusal") { self.isRefusal("key_changed", $0) }
        #expect(refusal.contains("agent=home") && refusal.contains("expected=\(self.stranger)"))
        _ = try await socks.program.logLine("the choice") { $0.contains("event=agent.selected agent=office") }
        // A key that goes from the file takes its channel along.
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        try Data("home \(self.stranger)\n".utf8).write(to: URL(fileURLWithPath: file))
        socks.program.signal(SIGHUP)
        #expect(try await onThread { connection.receiveToFailure().failure?.isReset ?? true })
        #expect(try await SOCKSTestClient.request5(proxy: socks.port, .loopback, port: echo.port).reply == 1)
        #expect(socks.program.isRunning)
        withExtendedLifetime(echo) {}
        await stopAll([cluster.server, office, home, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `lists and checks say what is known`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let good = try await self.identity("good", in: cluster)
        let (office, _) = try await cluster.agent("office", options: good.options)
        let (home, _) = try await cluster.agent("home")
        let (other, _) = try await cluster.agent("other")
        let file = try cluster.folder.write("known", "office \(good.key)\nhome \(self.stranger)\n")
        func answer(_ options: [String], _ ending: RunningProgram.Ending) async throws -> [String] {
            let program = try cluster.launchSocks(options: options)
            #expect(try await program.end(within: .seconds(20)) == ending)
            return program.output.lines
        }
        let table = try await answer(["--list-agents", "--known-agents", file], .exit(0))
        let words = [("office", "known"), ("home", "CHANGED"), ("other", "unknown")]
        for (name, word) in words {
            let line = try #require(table.first { $0.hasPrefix("\(name) ") })
            #expect(line.split(separator: " ").suffix(2) == [Substring(word), "-"])
        }
        #expect(try await answer(["--list-agents"], .exit(0)).first?.contains("KNOWN") == false)

        let check = try await answer(["--check", "--known-agents", file], .exit(0))
        #expect(check.contains { $0.hasPrefix("failed") && $0.contains("home: refused, key CHANGED") })
        #expect(check.contains { $0.hasPrefix("failed") && $0.contains("other: refused, key unknown") })
        #expect(check.contains { $0.hasPrefix("ok") && $0.contains("office: ") && $0.contains("key known") })
        let bad = try await answer(["--check", "--known-agents", file, "--agent", "home"], .exit(77))
        #expect(bad.last?.hasPrefix("nothing will work: ") == true)
        await stopAll([cluster.server, office, home, other])
    }

    @Test(arguments: ["rtun-socks", "rtun-relay"])
    func `what is wrong with the options or the file ends a start`(program: String) async throws {
        let folder = try TestFolder()
        let rule = program == "rtun-relay" ? ["-L", "127.0.0.1:0?to=127.0.0.1:9"] : ["--listen", "127.0.0.1:0"]
        let bad = try folder.write("bad", "\noffice SHA256:x\n")
        let cases: [([String], Int32, String)] = [
            (["--trust-on-first-use"], 64, "--known-agents"),
            (["--known-agents", folder.file("none")], 69, "no such file or directory"),
            (["--known-agents", bad], 78, "\(bad), line 2: the key has 1 character"),
            (["--known-agents", folder.file("no/known"), "--trust-on-first-use"], 69, "cannot add a key"),
        ]
        for (options, status, words) in cases {
            for isCheck in [false, true] {
                let refused = try RunningProgram(
                    program,
                    rule + options + ["http://127.0.0.1:1", "--secret", "x"] + (isCheck ? ["--check-config"] : []))
                #expect(try await refused.end() == .exit(status), "\(options)")
                #expect(refused.errors.text.contains(words), "\(refused.errors.text)")
            }
        }
        let configuration = try folder.write(
            "rtun.toml", "[\(program.dropFirst(5))]\nknown-agents = \"\(bad)\"\n")
        let refused = try RunningProgram(
            program, rule + ["http://127.0.0.1:1", "--secret", "x", "--config", configuration])
        #expect(try await refused.end() == .exit(78))
    }

    // MARK: A hostile server

    /// What a hostile server gets to read of a client that looks for the agent `office`.
    private func attack(
        _ program: String, _ tale: HostileServer.Tale, options: [String], ends: Bool
    ) async throws -> (read: [String], program: RunningProgram, got: String) {
        let key = try #require(CertificateFingerprint(parsing: self.stranger))
        let readings = Readings()
        let server = try await HostileServer.start(agent: "office", key: key, tale: tale) { readings.add($0) }
        let place = program == "rtun-relay" ? ["-L", "127.0.0.1:0?to=192.0.2.7:53"] : ["--listen", "127.0.0.1:0"]
        let client = try RunningProgram(
            program,
            place + [server.url, "--quic-insecure", "--agent", "office", "--log-level", "debug"]
                + options,
            environment: ["RTUN_SECRET": Cluster.secret])
        let ready = try await client.line("the ready line") { $0.hasPrefix("\(program) ready ") }
        let port = try #require(ready.split(separator: ":").last.flatMap { Int($0) })
        if program == "rtun-relay" {
            let socket = try DatagramSocket(connectedTo: port)
            for _ in 0..<50 where readings.all.isEmpty && client.isRunning {
                try? socket.send(Array("in confidence".utf8))
                try await ContinuousClock().sleep(for: .milliseconds(100))
            }
        } else {
            _ = try? await SOCKSTestClient.request5(proxy: port, .name("secret.example"), port: 443)
        }
        if ends {
            #expect(try await client.end() == .exit(77))
        } else {
            await client.kill9()
        }
        try await server.stop()
        return (readings.all, client, "\(server.identity.leafFingerprint)")
    }

    private final class Readings: Sendable {
        private let stored = Mutex<[String]>([])
        var all: [String] { self.stored.withLock { $0 } }
        func add(_ text: String) { self.stored.withLock { $0.append(text) } }
    }

    @Test(arguments: ["rtun-socks", "rtun-relay"], [HostileServer.Tale.theRightKeyFirst, .itsOwnKey])
    func `a server that exchanges fingerprints gets nothing of a client that knows the agent`(
        program: String, tale: HostileServer.Tale
    ) async throws {
        let folder = try TestFolder()
        let file = try folder.write("known", "office \(self.stranger)\n")
        let (read, client, got) = try await self.attack(program, tale, options: ["--known-agents", file], ends: true)
        #expect(read.isEmpty)
        let last = try #require(client.errors.lines.last)
        #expect(last.contains(self.stranger) && last.contains(got))
        #expect(client.errors.lines.contains { self.isRefusal("key_changed", $0) && $0.contains("got=\(got)") })
    }

    @Test(arguments: ["rtun-socks", "rtun-relay"])
    func `what a server says of a key is not written down before the key is proved`(program: String) async throws {
        let folder = try TestFolder()
        let file = folder.file("known")
        let (read, client, _) = try await self.attack(
            program, .theRightKey, options: ["--known-agents", file, "--trust-on-first-use"], ends: false)
        #expect(read.isEmpty)
        #expect(!FileManager.default.fileExists(atPath: file))
        #expect(client.errors.lines.contains { $0.contains("event=peer.closed") })
    }

    /// What docs/security.md says of it.
    @Test(arguments: ["rtun-socks", "rtun-relay"])
    func `without known agents and end-to-end secret it can read everything`(program: String) async throws {
        let (read, _, _) = try await self.attack(program, .theRightKeyFirst, options: [], ends: false)
        #expect(read.first == (program == "rtun-relay" ? "in confidence" : "secret.example:443"))
    }
}
