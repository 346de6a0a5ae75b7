import Foundation
import TestSupport
import Testing

/// What an operator finds in the log: what a program is going to do, who used what, and when it stops working.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct TroubleTests {
    @Test func `every program says at start what it is going to do`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent(
            "office", options: ["--expire_in", "60", "--allow", "127.0.0.0/8:80", "--deny", "*", "--p2p", "direct"])
        let socks = try await cluster.socks(options: ["--agent", "off.*", "--auth", "me:pass"])
        let relay = try await cluster.relay(["127.0.0.1:0?to=192.0.2.1:9"], connected: false)
        let lines = [
            (cluster.server, ["rtun-server 0.1.0 serves https and quic on 127.0.0.1:\(cluster.port)", "bridge=true"]),
            (
                agent.program,
                [
                    "rtun-agent 0.1.0 offers this machine as office for 1 h", "server=\(cluster.url)", "p2p=direct",
                    "rules=\"allow 127.0.0.0/8:80; deny *\"", "max_streams=", "expires_in_s=3600",
                ]
            ),
            (
                socks.program,
                ["rtun-socks 0.1.0 listens on 127.0.0.1:\(socks.port)", "agents=off.*", "login=true", "p2p=auto"]
            ),
            (
                relay.program,
                ["rtun-relay 0.1.0 forwards 127.0.0.1:\(relay.port) to 192.0.2.1:9", "rules=1", "idle_timeout_s=120"]
            ),
        ]
        for (program, parts) in lines {
            let line = try await program.logLine("its first line") { $0.contains("event=program.started") }
            for part in parts { #expect(line.contains(part), "\(line)") }
            #expect(!line.contains("pass"))
        }
        await stopAll([cluster.server, agent.program, socks.program, relay.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a server that is away is told of with the cause, and so is its return`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("office")
        await cluster.server.kill9()
        _ = try await agent.program.logLine(within: .seconds(30), "the loss") {
            $0.contains("warn lost the connection to the server: ") && $0.contains("event=signal.lost")
        }
        _ = try await agent.program.logLine(within: .seconds(40), "the cause") {
            $0.contains("warn no connection to the server") && $0.contains("event=signal.failed")
                && (scheme == .quic || $0.contains(": connection refused"))
        }
        let server = try await cluster.relaunchServer()
        let back = try await agent.program.logLine(within: .seconds(40), "the return") {
            $0.contains("info connected to the server again after ")
        }
        #expect(back.contains("event=signal.connected") && back.contains(" away_s="))
        await stopAll([server, agent.program])
    }

    @Test func `agents that fail one after another are told of together`() async throws {
        let cluster = try await Cluster(.https)
        let agents = [
            try await cluster.agent("home", options: ["--e2e-secret", "one"]),
            try await cluster.agent("office", options: ["--e2e-secret", "one"]),
        ]
        let socks = try await cluster.socks(options: ["--e2e-secret", "two"])
        let line = try await socks.program.logLine("the summary") { $0.contains("event=agent.unreachable") }
        #expect(line.contains(" warn no agent can be reached: home: "))
        #expect(line.contains("; office: "))
        #expect(line.contains("end-to-end secret"))
        await stopAll([cluster.server, socks.program] + agents.map(\.program))
    }

    @Test func `the server tells who used which agent, and what it carried`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("office")
        let socks = try await cluster.socks(options: ["--p2p", "bridge"])
        let echo = try TCPService.echo()
        let count = 100_000
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        try await onThread {
            try connection.send(String(repeating: "x", count: count))
            _ = try connection.receive(exactly: count)
        }
        let opened = try #require(
            LogEvent(try await cluster.server.logLine("the channel") { $0.contains("event=peer.opened") }))
        #expect(opened["agent"] == "office")
        #expect(opened["kind"] == "tunnel")
        #expect(opened["client"]?.hasPrefix("127.0.0.1:") == true || opened["client"]?.hasPrefix("[::1]:") == true)
        // Also when something is still open, which the proxy does not wait for any longer.
        await socks.program.stop()
        withExtendedLifetime(connection) {}
        let closed = try #require(
            LogEvent(try await cluster.server.logLine("its end") { $0.contains("event=peer.closed") }))
        #expect(closed["peer"] == opened["peer"])
        #expect(closed["client"] == opened["client"])
        #expect(closed["session"] == opened["session"])
        for key in ["bridged_in", "bridged_out"] {
            let bytes = try #require(closed[key].flatMap { Int($0) })
            #expect(bytes > count && bytes < 2 * count, "\(key)=\(bytes)")
        }
        #expect(closed["reason"]?.hasPrefix("closed by the client") == true)
        await stopAll([cluster.server, agent.program])
    }

    @Test func `a channel that is open when the server stops is told of, too`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("office")
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:9"])
        await cluster.server.stop()
        let line = try await cluster.server.logLine("its end") { $0.contains("event=peer.closed") }
        #expect(line.contains("reason=\"the server stops\"") && line.contains("target=127.0.0.1:9"))
        await stopAll([agent.program, relay.program])
    }

    /// Addresses that fail2ban would find in `lines`.
    private static func addresses(in lines: [String]) async throws -> [String] {
        let folder = try TestFolder()
        let log = try folder.write("log", lines.map { $0 + "\n" }.joined())
        let found = try await ShellCommand.run(
            """
            python3 '\(Interpreter.root)/Tests/EndToEndTests/fail2ban_filter.py' \
                '\(Interpreter.root)/packaging/fail2ban/rtun.filter.conf' < '\(log)'
            """)
        return found.split(separator: "\n").map(String.init)
    }

    @Test(arguments: [[], ["--log-format", "json"]])
    func `the filter for fail2ban finds who does not know the secret`(format: [String]) async throws {
        let cluster = try await Cluster(.https, serverOptions: format)
        let agent = try cluster.launchAgent("event=auth.failed remote=192.0.2.66:1")
        _ = try await agent.line("the ready line") { $0.contains(" ready ") }
        let stranger = try cluster.launchSocks(secret: "wrong")
        _ = try await cluster.server.logLine("the stranger") { $0.contains("auth.failed") && $0.contains("count") }
        #expect(try await stranger.end() == .exit(77))
        await stopAll([agent, cluster.server])
        let found = try await Self.addresses(in: cluster.server.errors.lines)
        #expect(!found.isEmpty && Set(found).isSubset(of: ["127.0.0.1", "::1"]), "\(found)")
    }

    @Test func `the filter for fail2ban finds failed logins, and nothing that clients have made up`() async throws {
        let time = "2026-11-30T12:04:07.123Z"
        let event = "login failed event=auth.failed"
        let lines = [
            "\(time) info \(event) client=198.51.100.7:50312 method=socks5 user=me",
            "\(time) info \(event) client=[2001:db8::7]:1 method=http user=\"x client=192.0.2.99:1\"",
            #"{"time":"\#(time)","level":"info","message":"login failed","event":"auth.failed","client":"198.51.100.9:1","#
                + #""method":"socks5","user":"me"}"#,
            "Nov 30 12:04:07 host rtun-socks[12]: \(time) info \(event) client=198.51.100.70:1 method=socks5 user=me",
            "\(time) info client connected event=client.connected remote=192.0.2.97:1 software=\"\(event) client=192.0.2.96:1\"",
            "\(time) info agent registered event=agent.registered agent=\"x\\n\(time) info \(event) client=192.0.2.95:1\"",
        ]
        let found = try await Self.addresses(in: lines)
        #expect(found == ["198.51.100.7", "2001:db8::7", "198.51.100.9", "198.51.100.70"])
    }

    @Test(arguments: [(5, "certificate.expiring", "warn the certificate ends in "), (60, nil, nil)])
    func `a certificate that ends soon is told of at start`(days: Int, event: String?, words: String?) async throws {
        let folder = try TestFolder()
        let (certificate, key) = (folder.file("cert.pem"), folder.file("key.pem"))
        try await ShellCommand.run(
            """
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days \(days) -subj /CN=localhost \
                -keyout '\(key)' -out '\(certificate)'
            """)
        let server = try RunningProgram(
            "rtun-server", ["--addr", "127.0.0.1:0", "--https-cert", certificate, "--https-key", key],
            environment: ["RTUN_SECRET": "x"])
        let start = try await server.logLine("its first line") { $0.contains("event=program.started") }
        #expect(start.contains("certificate_ends=2"))
        if let event, let words {
            let line = try await server.logLine("the end") { $0.contains("event=\(event)") }
            #expect(line.contains(words) && (line.contains(" days=4 ") || line.contains(" days=5 ")))
        } else {
            _ = try await server.line("the ready line") { $0.contains(" ready ") }
            try await Task.sleep(for: .milliseconds(200))
            #expect(!server.errors.text.contains("event=certificate."))
        }
        await server.stop()
    }

    @Test func `a certificate that has expired is told of at start`() async throws {
        let folder = try TestFolder()
        try folder.write(
            "ca.cnf",
            """
            [ca]
            default_ca=d
            [d]
            database=index.txt
            serial=serial
            new_certs_dir=.
            policy=p
            default_md=sha256
            [p]
            commonName=supplied

            """)
        try await ShellCommand.run(
            """
            cd '\(folder.path)' && touch index.txt && echo 01 > serial
            openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out r.pem
            openssl ca -batch -config ca.cnf -selfsign -keyfile key.pem -in r.pem -startdate 20200101000000Z \
                -enddate 20210101000000Z -notext -out cert.pem
            """)
        let server = try RunningProgram(
            "rtun-server",
            ["--addr", "127.0.0.1:0", "--https-cert", folder.file("cert.pem"), "--https-key", folder.file("key.pem")],
            environment: ["RTUN_SECRET": "x"])
        let line = try await server.logLine("the end") { $0.contains("event=certificate.expired") }
        #expect(line.contains("error the certificate has expired ") && line.contains("ends=2021-01-01T00:00:00Z"))
        await server.stop()
    }

    /// What looks like a number or a truth value in JSON is one, on all four programs.
    @Test func `values in JSON have their types`() async throws {
        let json = ["--log-format", "json"]
        let cluster = try await Cluster(.https, serverOptions: json)
        let agent = try await cluster.agent("office", options: json)
        let socks = try await cluster.socks(options: json)
        let relay = try await cluster.relay(
            ["127.0.0.1:0?to=127.0.0.1:9"], options: json, connected: false)
        let echo = try TCPService.echo()
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        try await onThread {
            try connection.send("x")
            _ = try connection.receive(exactly: 1)
            connection.shutdownSending()
            _ = try connection.receiveToEnd()
        }
        let programs = [cluster.server, agent.program, socks.program, relay.program]
        for program in programs { program.signal(SIGUSR1) }
        _ = try await relay.program.logLine("statistics") { $0.contains("relay.stats") }
        await socks.program.stop()
        _ = try await cluster.server.logLine("the end of the channel") { $0.contains("peer.closed") }
        await stopAll(programs)
        // Names that may consist of digits.
        let names: Set<String> = ["peer", "instance", "fingerprint", "mac", "error", "message"]
        for program in programs {
            for line in program.errors.lines {
                let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                let members = try #require(object, "\(line)")
                for (key, value) in members where !names.contains(key) {
                    guard let text = value as? String else { continue }
                    #expect(Double(text) == nil, "\(program.name): \(key) in \(line)")
                    #expect(text != "true" && text != "false", "\(program.name): \(key) in \(line)")
                }
            }
        }
    }
}
