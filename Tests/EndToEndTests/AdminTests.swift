import Foundation
import TestSupport
import Testing

/// What all programs tell of themselves at `--admin`, and to `--status` and `--healthcheck`.
@Suite(.timeLimit(.minutes(3)))
struct AdminTests {
    /// A name that is full of what a page, a table or a metric could take for its own.
    private static let hostileName = #"<b>a"b'&</b>{x="y"}\n"#

    private static let admin = ["--admin", "127.0.0.1:0"]

    /// Where a program's ready line, or its log, says that its status is to be had.
    private func place(of program: RunningProgram) async throws -> String {
        let line = try await program.logLine("where the status is") { $0.contains("event=admin.listening") }
        return try #require(Cluster.readyField("admin", in: line))
    }

    /// A status and a body; curl's `options` come in front.
    private func get(_ place: String, _ path: String, _ options: String = "") async throws -> (code: Int, body: String)
    {
        let text = try await ShellCommand.run(
            "curl -sS --max-time 10 \(options) -w '\\n%{http_code}' 'http://\(place)\(path)'")
        let whole = text.trimmingCharacters(in: .newlines)
        return (Int(whole.suffix(3)) ?? 0, whole.dropLast(3).trimmingCharacters(in: .newlines))
    }

    private func document(_ place: String) async throws -> [String: Any] {
        let answer = try await self.get(place, "/status.json")
        #expect(answer.code == 200)
        return try #require(try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
    }

    private func value(_ document: [String: Any], _ path: String) -> Any? {
        path.split(separator: ".").reduce(document as Any?) { value, name in
            if let list = value as? [Any], let index = Int(name) {
                return list.indices.contains(index) ? list[index] : nil
            }
            return (value as? [String: Any])?[String(name)]
        }
    }

    /// The samples of `/metrics` by name and labels.
    private func metrics(_ place: String) async throws -> [String: Double] {
        let answer = try await self.get(place, "/metrics")
        #expect(answer.code == 200)
        if let promtool = Promtool.path {
            let file = try TestFolder()
            let checked = try await ShellCommand.outcome(
                of: "\(promtool) check metrics < '\(try file.write("metrics", answer.body + "\n"))'")
            #expect(checked.ending == .exit(0), "\(checked.output)\(checked.errors)\n\(answer.body)")
            #expect(checked.output.isEmpty && checked.errors.isEmpty, "\(checked.output)\(checked.errors)")
        }
        var samples: [String: Double] = [:]
        for line in answer.body.split(separator: "\n") where !line.hasPrefix("#") {
            let space = try #require(line.lastIndex(of: " "))
            samples[String(line[..<space])] = Double(line[line.index(after: space)...])
        }
        return samples
    }

    /// Runs a program to its end.
    private func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:]
    ) async throws -> (ending: RunningProgram.Ending, output: String, errors: String) {
        let program = try RunningProgram(program, arguments, environment: environment)
        let ending = try await program.end()
        return (ending, program.output.text, program.errors.text)
    }

    @Test func `each program tells what it does`() async throws {
        let cluster = try await Cluster(.quic, serverOptions: Self.admin)
        let server = try await self.place(of: cluster.server)
        let agent = try cluster.launchAgent(Self.hostileName, options: Self.admin)
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready agent=") && $0.contains(" admin=") }
        let (socks, port) = try await cluster.socks(options: Self.admin)
        let echo = try TCPService.echo()
        let datagrams = try UDPEchoService()
        let relay = try await cluster.relay(
            ["127.0.0.1:0?to=127.0.0.1:\(datagrams.port)", "tcp://127.0.0.1:0?to=127.0.0.1:\(echo.port)"],
            options: Self.admin)
        let (agentPlace, socksPlace, relayPlace) = (
            try await self.place(of: agent), try await self.place(of: socks), try await self.place(of: relay.program)
        )

        // A connection that stays open, and has carried something each way.
        let client = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
        try await onThread {
            try client.send(Array(repeating: 7, count: 5000))
            _ = try client.receive(exactly: 5000)
            let sender = try DatagramSocket(connectedTo: relay.port)
            try sender.send(Array(repeating: 9, count: 100))
            _ = try sender.receive()
        }

        // The server.
        var document = try await self.document(server)
        #expect(self.value(document, "schema") as? Int == 1)
        #expect(self.value(document, "program") as? String == "rtun-server")
        #expect(self.value(document, "ready") as? Bool == true)
        #expect(self.value(document, "agents.0.name") as? String == Self.hostileName)
        #expect(self.value(document, "agents_total") as? Int == 1)
        #expect(self.value(document, "clients_total") as? Int == 2)
        #expect(self.value(document, "channels_total") as? Int == 3)
        #expect(self.value(document, "channels.0.agent") as? String == Self.hostileName)
        #expect((self.value(document, "certificate.ends_at_ms") as? Double ?? 0) > Date().timeIntervalSince1970 * 1000)
        var samples = try await self.metrics(server)
        #expect(samples["rtun_agents"] == 1)
        #expect(samples["rtun_clients"] == 2)
        #expect(samples[#"rtun_handshakes_total{outcome="proved"}"#] == 3)
        #expect(samples[#"rtun_handshakes_total{outcome="refused"}"#] == 0)
        #expect((samples["process_open_fds"] ?? 0) > 5)
        #expect((samples["process_resident_memory_bytes"] ?? 0) > 1_000_000)
        #expect((samples["rtun_certificate_expiry_timestamp_seconds"] ?? 0) > Date().timeIntervalSince1970)
        #expect(samples.keys.contains { $0.hasPrefix(#"rtun_build_info{program="rtun-server","#) })

        // The agent.
        document = try await self.document(agentPlace)
        #expect(self.value(document, "agent.registered") as? Bool == true)
        #expect(self.value(document, "agent.name") as? String == Self.hostileName)
        #expect(self.value(document, "peers_total") as? Int == 3)
        #expect(self.value(document, "flows_total") as? Int == 2)
        let peers = try #require(self.value(document, "peers") as? [[String: Any]])
        #expect(Set(peers.compactMap { $0["kind"] as? String }) == ["tunnel", "relay"])
        #expect(peers.allSatisfy { ["direct", "bridge"].contains($0["path"] as? String) })
        let sent = peers.compactMap { self.value($0, "bytes.sent") as? Int }
        #expect(sent.sorted() == [0, 100, 5000])
        samples = try await self.metrics(agentPlace)
        #expect(samples[#"rtun_flow_bytes_total{kind="tcp",direction="sent"}"#] == 5000)
        #expect(samples[#"rtun_flow_bytes_total{kind="udp",direction="received"}"#] == 100)
        #expect(samples[#"rtun_flows_open{kind="tcp"}"#] == 1)
        #expect(samples[#"rtun_peer_handshakes_total{outcome="connected"}"#] == 3)

        // The proxy.
        document = try await self.document(socksPlace)
        #expect(self.value(document, "agent.name") as? String == Self.hostileName)
        #expect(self.value(document, "agent.because") as? String == "it is the only one that matches")
        #expect(self.value(document, "flows.0.target") as? String == "127.0.0.1:\(echo.port)")
        #expect(self.value(document, "flows.0.bytes.received") as? Int == 5000)
        #expect(self.value(document, "traffic.bytes.sent") as? Int == 5000)
        samples = try await self.metrics(socksPlace)
        #expect(samples[#"rtun_flows_open{kind="socks5"}"#] == 1)
        #expect(samples.keys.contains { $0.hasPrefix(#"rtun_peer_rtt_seconds{agent="<b>a\"b'&</b>{x=\"y\"}\\n"}"#) })

        // The relay.
        document = try await self.document(relayPlace)
        #expect(self.value(document, "rules.0.target") as? String == "127.0.0.1:\(datagrams.port)")
        #expect(self.value(document, "rules.0.agent.name") as? String == Self.hostileName)
        #expect(self.value(document, "rules.0.bytes.sent") as? Int == 100)
        #expect(self.value(document, "flows_total") as? Int == 1)
        samples = try await self.metrics(relayPlace)
        #expect(samples[#"rtun_flow_bytes_total{kind="udp",direction="sent"}"#] == 100)
        #expect(self.value(document, "rules.1.kind") as? String == "tcp")
        #expect(self.value(document, "rules.1.agent.name") as? String == Self.hostileName)
        #expect(samples["rtun_rules_with_agent"] == 2)
        #expect(samples[#"rtun_dropped_datagrams_total{reason="oversize"}"#] == 0)

        // What has ended is counted by how it did.
        client.shutdownSending()
        try await eventually(within: .seconds(10), "the end of the connection") {
            try await self.metrics(socksPlace)[#"rtun_flows_total{kind="socks5",outcome="closed"}"#] == 1
        }

        for (program, place) in [
            ("rtun-server", server), ("rtun-agent", agentPlace), ("rtun-socks", socksPlace), ("rtun-relay", relayPlace),
        ] {
            #expect(try await self.get(place, "/healthz") == (200, "ok"))
            #expect(try await self.get(place, "/readyz") == (200, "ready"))
            #expect(try await self.get(place, "/", "-H 'Host: evil.example'").code == 421)
            #expect(try await self.get(place, "/metrics", "-X POST -d x=1").code == 405)
            #expect(try await self.get(place, "/nothing").code == 404)
            let page = try await self.get(place, "/", "-i")
            #expect(page.body.contains("Content-Security-Policy: default-src 'none'; script-src 'sha256-"))
            #expect(page.body.contains("X-Content-Type-Options: nosniff"))
            #expect(page.body.contains("<h1>\(program)"))

            // Neither URL nor secret.
            let table = try await self.run(program, ["--status", "--admin", place])
            #expect(table.ending == .exit(0), "\(table.errors)")
            #expect(table.output.hasPrefix("\(program) 0.1.0, up "))
            #expect(table.output.contains(Self.hostileName))
            let json = try await self.run(program, ["--status", "--json"], environment: ["RTUN_ADMIN": place])
            #expect(json.ending == .exit(0), "\(json.errors)")
            #expect(json.output.hasPrefix(#"{"schema":1,"program":"\#(program)","#))
            #expect(try await self.run(program, ["--healthcheck", "--admin", place]).ending == .exit(0))
        }
        await stopAll([cluster.server, agent, socks, relay.program])

        // Nobody there.
        for program in ["rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"] {
            for question in ["--status", "--healthcheck"] {
                let answer = try await self.run(program, [question, "--admin", server])
                #expect(answer.ending == .exit(69))
                #expect(answer.errors.contains("no answer from \(program) at \(server): connection refused"))
            }
        }
    }

    @Test func `a program that cannot do its work says why it is not ready`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try cluster.launchAgent(
            "office", secret: "wrong place", options: Self.admin + ["--expire-in", "1h"])
        _ = try? await agent.end(within: .seconds(5))
        let socks = try cluster.launchSocks(options: Self.admin + ["--agent", "nope"])
        let place = try await self.place(of: socks)
        _ = try await socks.logLine("that no agent is there") { $0.contains("event=agent.none") }
        let answer = try await self.get(place, "/readyz")
        #expect(answer.code == 503)
        #expect(answer.body == "no agent is registered with the server")
        #expect(try await self.get(place, "/healthz").code == 200)
        #expect(try await self.metrics(place)["rtun_ready"] == 0)
        let table = try await self.run("rtun-socks", ["--status", "--admin", place])
        #expect(table.output.contains("not ready: no agent is registered with the server\n"))

        let (office, _) = try await cluster.agent("office", options: Self.admin)
        let officePlace = try await self.place(of: office)
        #expect(try await self.get(officePlace, "/readyz").code == 200)
        await cluster.server.kill9()
        try await eventually(within: .seconds(20), "an agent without a server") {
            let answer = try await self.get(officePlace, "/readyz")
            return answer.code == 503
                && answer.body.hasPrefix("not registered: there is no connection to the server quic://")
        }
        await stopAll([socks, office, agent])
    }

    @Test func `refused proofs and what the policy refuses are told of`() async throws {
        let cluster = try await Cluster(.https, serverOptions: Self.admin)
        let stranger = try cluster.launchAgent("office", secret: "another secret")
        #expect(try await stranger.end() == .exit(77))
        let samples = try await self.metrics(try await self.place(of: cluster.server))
        #expect(samples[#"rtun_handshakes_total{outcome="refused"}"#] == 1)

        let (agent, _) = try await cluster.agent(
            "office", options: Self.admin + ["--deny", "127.0.0.1:1", "--allow", "127.0.0.0/8"])
        let (socks, port) = try await cluster.socks()
        for _ in 0..<2 {
            #expect(try await SOCKSTestClient.request5(proxy: port, .loopback, port: 1).reply == 2)
        }
        let document = try await self.document(try await self.place(of: agent))
        #expect(self.value(document, "policy_refusals.0.target") as? String == "127.0.0.1:1")
        #expect(self.value(document, "policy_refusals.0.count") as? Int == 2)
        #expect(self.value(document, "flows_ended.policy") as? Int == 2)
        await stopAll([cluster.server, agent, socks])
    }

    @Test func `a socket in the file system is its owner's, and goes with the program`() async throws {
        let folder = try TestFolder()
        let path = folder.file("admin.sock")
        // One that a program has left behind.
        try await ShellCommand.run(
            "python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('\(path)')\"")
        let cluster = try await Cluster(.quic, serverOptions: ["--admin", "unix:\(path)"])
        #expect(try await self.place(of: cluster.server) == "unix:\(path)")
        #expect(try await ShellCommand.run("stat -c '%F %a' '\(path)'").hasPrefix("socket 600"))
        #expect(try await self.get("whatever", "/healthz", "--unix-socket '\(path)'") == (200, "ok"))
        let table = try await self.run("rtun-server", ["--status", "--admin", "unix:\(path)"])
        #expect(table.ending == .exit(0))
        #expect(table.output.contains("\nNo agent is registered.\n"))
        #expect(try await self.run("rtun-server", ["--healthcheck", "--admin", "unix:\(path)"]).ending == .exit(0))

        let second = try await self.run(
            "rtun-server", ["--addr", "127.0.0.1:0", "--stun-port", "off", "--admin", "unix:\(path)"],
            environment: ["RTUN_SECRET": Cluster.secret])
        #expect(second.ending == .exit(69))
        #expect(second.errors.contains("another program listens there"))

        let file = try folder.write("precious", "data")
        let third = try await self.run(
            "rtun-server", ["--addr", "127.0.0.1:0", "--stun-port", "off", "--admin", "unix:\(file)"],
            environment: ["RTUN_SECRET": Cluster.secret])
        #expect(third.ending == .exit(69))
        #expect(third.errors.contains("a file of that name that is no socket"))
        #expect(FileManager.default.fileExists(atPath: file))

        await cluster.server.stop()
        #expect(!FileManager.default.fileExists(atPath: path))
        let dead = try await self.run("rtun-server", ["--status", "--admin", "unix:\(path)"])
        #expect(dead.ending == .exit(69))
        #expect(dead.errors.contains("no such file"))
    }

    @Test func `other machines need the token`() async throws {
        let folder = try TestFolder()
        let token = try folder.write("token", "0123456789abcdef0123\n")
        let short = try folder.write("short", "too short\n")
        let options = ["--addr", "127.0.0.1:0", "--stun-port", "off", "--admin", "0.0.0.0:0"]
        let environment = ["RTUN_SECRET": Cluster.secret]
        let without = try await self.run("rtun-server", options, environment: environment)
        #expect(without.ending == .exit(64))
        #expect(without.errors.contains("--admin-token-file"))
        #expect(
            try await self.run("rtun-server", options + ["--check-config"], environment: environment).ending
                == .exit(64))
        let guessable = try await self.run(
            "rtun-server", options + ["--admin-token-file", short], environment: environment)
        #expect(guessable.ending == .exit(64))
        #expect(guessable.errors.contains("openssl rand"))
        let missing = try await self.run(
            "rtun-server", options + ["--admin-token-file", "/nonexistent"], environment: environment)
        #expect(missing.ending == .exit(69))

        let server = try RunningProgram(
            "rtun-server", options + ["--admin-token-file", token], environment: environment)
        let place = try await self.place(of: server).replacingOccurrences(of: "0.0.0.0", with: "127.0.0.1")
        for path in ["/", "/metrics", "/status.json", "/status.txt", "/healthz", "/readyz", "/nothing"] {
            #expect(try await self.get(place, path).code == 401)
            #expect(try await self.get(place, path, "-u me:wrong").code == 401)
        }
        for login in ["-u me:0123456789abcdef0123", "-H 'Authorization: Bearer 0123456789abcdef0123'"] {
            #expect(try await self.get(place, "/metrics", login).code == 200)
        }
        let line = try await server.logLine("a failed login") { $0.contains("event=auth.failed") }
        #expect(line.contains("method=admin") && line.contains("client=127.0.0.1 "))
        #expect(!server.errors.text.contains("0123456789abcdef"))

        let refused = try await self.run("rtun-server", ["--status", "--admin", place])
        #expect(refused.ending == .exit(69))
        #expect(refused.errors.contains("wants a token"))
        let asked = try await self.run("rtun-server", ["--status", "--admin", place, "--admin-token-file", token])
        #expect(asked.ending == .exit(0))
        let healthy = try await self.run(
            "rtun-server", ["--healthcheck"], environment: ["RTUN_ADMIN": place, "RTUN_ADMIN_TOKEN_FILE": token])
        #expect(healthy.ending == .exit(0))
        await server.stop()
    }

    @Test func `slow and many askers leave room for others`() async throws {
        let cluster = try await Cluster(.quic, serverOptions: Self.admin)
        let place = try await self.place(of: cluster.server)
        let port = try #require(place.split(separator: ":").last.flatMap { Int($0) })
        // They say nothing, or never end their head.
        let silent = try (0..<100).map { index in
            let socket = try BlockingSocket(connectingTo: "127.0.0.1", port: port)
            if index % 2 == 0 { try socket.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\nX: ".utf8)) }
            return socket
        }
        #expect(try await self.get(place, "/healthz") == (200, "ok"))
        #expect(try await self.get(place, "/healthz", "-H \"X: $(head -c 40000 /dev/zero | tr '\\0' x)\"").code == 400)
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(cluster.server.pid)/fd").count
        #expect(descriptors < 100)
        withExtendedLifetime(silent) {}
        await stopAll([cluster.server])
    }

    @Test(arguments: ["rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"])
    func `who asks wrongly hears what is wrong`(program: String) async throws {
        var wrong: [([String], String)] = [
            (["--status"], "give the same here: --admin"), (["--status", "--admin", "127.0.0.1:0"], "needs the port"),
            (["--status", "--admin", "nonsense"], "--admin: "),
            (["--status", "--statsu"], "there is no option --statsu"),
            (["--status", "--healthcheck", "--admin", "127.0.0.1:1"], "not both"),
            (["--admin", "unix:"], "has no path"),
            (["--admin", "http://127.0.0.1:1"], "is a URL"),
        ]
        if program != "rtun-server" { wrong.append((["--healthcheck"], "give the same here: --admin")) }
        for (arguments, words) in wrong {
            let answer = try await self.run(program, arguments)
            #expect(answer.ending == .exit(64), "\(arguments): \(answer.errors)")
            #expect(answer.errors.contains(words), "\(arguments): \(answer.errors)")
        }
    }
}

/// Prometheus's own judge of metrics, where `make setup` has put it.
enum Promtool {
    static let path: String? = {
        let path = Interpreter.root + "/.build-tools/usr/bin/promtool"
        if FileManager.default.isExecutableFile(atPath: path) { return path }
        precondition(ProcessInfo.processInfo.environment["CI"] != "true", "make setup has not brought promtool")
        return nil
    }()
}
