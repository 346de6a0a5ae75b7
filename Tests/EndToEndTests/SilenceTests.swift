import Foundation
import TestSupport
import Testing

/// A program that cannot do its job says so, to whom it concerns and in words that help.
@Suite(.timeLimit(.minutes(2)))
struct SilenceTests {
    @Test(arguments: SignalScheme.allCases)
    func `a client says that no agent matches, and how many there are`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("office")
        let socks = try await cluster.socks(options: ["--agent", "home.*"])
        let line = try await socks.program.logLine("what is missing") { $0.contains("event=agent.none") }
        #expect(line.contains("warn no agent matches \"home.*\"; registered: office event=agent.none"))
        #expect(line.contains("names=office pattern=home.* registered=1"))
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `who takes the proxy for a web site is told, and wrong logins are logged`() async throws {
        let cluster = try await Cluster(.https)
        let socks = try await cluster.socks(options: ["--auth", "me:right"])
        let page = try await onThread {
            let client = try BlockingSocket(connectingTo: "127.0.0.1", port: socks.port)
            try client.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return String(decoding: try client.receiveToEnd(), as: UTF8.self)
        }
        #expect(page.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && page.contains("curl --proxy http://HOST:PORT"))
        _ = try await socks.program.logLine("the browser") {
            $0.contains("event=client.refused") && $0.contains("reason=http")
        }
        for (proxy, method) in [("socks5h", "socks5"), ("http", "http")] {
            let login = try await ShellCommand.outcome(
                of: "curl -sS -m 5 --proxy \(proxy)://me:wrong@127.0.0.1:\(socks.port) https://192.0.2.1/")
            #expect(login.ending != .exit(0))
            let line = try await socks.program.logLine("the wrong login") {
                $0.contains("event=auth.failed client=127.0.0.1 method=\(method) user=me")
            }
            #expect(line.contains(" info ") && !line.contains("wrong"))
        }
        await stopAll([cluster.server, socks.program])
    }

    @Test func `a missing interface is logged`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress", options: ["--p2p-interface", "eth77"])
        _ = try await agent.program.logLine("the interface") {
            $0.contains("event=interface.missing missing=eth77 present=lo") || $0.contains("missing=eth77 present=")
        }
        await stopAll([cluster.server, agent.program])
    }

    @Test func `a wrong end-to-end secret is logged, and no missing path`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress", options: ["--e2e-secret", "one"])
        let socks = try await cluster.socks(options: ["--e2e-secret", "two"])
        _ = try await socks.program.logLine("the reason") { $0.contains("end-to-end secret is another one") }
        try await Task.sleep(for: .milliseconds(200))
        #expect(!socks.program.errors.text.contains("address family"))
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a check tells a server whose certificate is not trusted from one that is away`(scheme: SignalScheme)
        async throws
    {
        let cluster = try await Cluster(scheme)
        let url = "\(scheme)://127.0.0.1:\(cluster.port)"
        let check = try RunningProgram("rtun-socks", ["--check", url], environment: ["RTUN_SECRET": Cluster.secret])
        #expect(try await check.end(within: .seconds(30)) == .exit(69))
        #expect(check.output.text.contains("nothing will work: the server's certificate is not trusted"))
        #expect(!check.output.text.contains("NOT trusted"))
        await stopAll([cluster.server])
    }

    @Test func `a list of agents is all that is printed, in columns`() async throws {
        let cluster = try await Cluster(.https)
        let names = ["日本のサーバー", "e\u{301}cole", "office"]
        var agents: [RunningProgram] = []
        for name in names {
            let agent = try cluster.launchAgent(name)
            _ = try await agent.line("the ready line") { $0.contains(" ready ") }
            agents.append(agent)
        }
        let list = try RunningProgram(
            "rtun-socks", ["--list-agents", "--ca-cert", cluster.certificates.authority, cluster.url],
            environment: ["RTUN_SECRET": Cluster.secret])
        #expect(try await list.end() == .exit(0))
        #expect(list.errors.text.isEmpty)
        let lines = list.output.text.split(separator: "\n")
        #expect(lines.count == 4)
        // Two columns for each wide character, none for a combining one: "NAME" is padded to the width of the widest.
        #expect(lines[0].hasPrefix("NAME            INSTANCE"))
        #expect(lines.contains { $0.hasPrefix("日本のサーバー  ") })
        #expect(lines.contains { $0.hasPrefix("e\u{301}cole           ") })
        await stopAll([cluster.server] + agents)
    }

    /// Starts a program on a terminal of its own, closes that, and prints whether the program ended.
    private static let terminal = """
        import os, pty, sys, time
        pid, master = pty.fork()
        if pid == 0:
            os.execv(sys.argv[2], sys.argv[2:])
        seen = b""
        while b" ready " not in seen:
            seen += os.read(master, 1000)
        if sys.argv[1] == "close":
            os.close(master)
        else:
            os.kill(pid, 1)
        for _ in range(100):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                print("ended", os.waitstatus_to_exitcode(status))
                sys.exit()
            time.sleep(0.05)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        print("goes on")
        """

    @Test(
        arguments: [
            ("close", "rtun-socks --listen 127.0.0.1:0 http://127.0.0.1:1", "ended 0"),
            ("close", "rtun-server --addr 127.0.0.1:0", "ended 0"),
            ("close", "rtun-server --addr 127.0.0.1:0 CERTIFICATE", "ended 0"),
            ("kill", "rtun-relay -L 127.0.0.1:0?to=192.0.2.1:9 http://127.0.0.1:1", "ended 0"),
            ("kill", "rtun-server --addr 127.0.0.1:0 CERTIFICATE", "goes on"),
            ("kill", "rtun-socks --listen 127.0.0.1:0 --log-file LOG http://127.0.0.1:1", "goes on"),
        ])
    func `a program ends with its terminal, unless somebody else reads the log`(
        action: String, command: String, outcome: String
    ) async throws {
        let folder = try TestFolder()
        let certificates = try await TestCertificates(in: folder)
        let script = try folder.write("terminal.py", Self.terminal)
        let full = command.replacingOccurrences(
            of: "CERTIFICATE", with: "--https-cert '\(certificates.certificate)' --https-key '\(certificates.key)'"
        ).replacingOccurrences(of: "LOG", with: "'\(folder.file("log"))'")
        let output = try await ShellCommand.run(
            "RTUN_SECRET=x python3 '\(script)' \(action) '\(RunningProgram.folder)/'\(full)")
        #expect(output.contains(outcome), "\(output)")
    }

    @Test func `numbers in a log of JSON lines are numbers`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let relay = try await cluster.relay(
            ["127.0.0.1:0?to=127.0.0.1:9"], options: ["--log-format", "json"], connected: false)
        _ = try await relay.program.logLine("the channel") { $0.contains("agent.selected") }
        relay.program.signal(SIGUSR1)
        let line = try await relay.program.logLine("the statistics") { $0.contains("relay.stats") }
        let members = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        for key in ["flows", "flows_opened", "limit", "packets_in", "bytes_out", "records_out"] {
            #expect(members[key] is NSNumber, "\(key) in \(line)")
        }
        await stopAll([cluster.server, agent.program, relay.program])
    }

    /// Nobody reads the log: what a program does must not wait for that.
    @Test func `a log that nobody reads delays no connection`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let echo = try TCPService.echo()
        let port = try FreePort.next()
        // The shell holds the reading end of the pipe, and does not read.
        let arguments =
            ([
                "--listen", "127.0.0.1:\(port)", "--log-level", "trace", "--ca-cert", cluster.certificates.authority,
                cluster.url,
            ]).map { "'\($0)'" }
        let stuck = try RunningProgram(
            "/bin/bash",
            ["-c", "exec '\(RunningProgram.folder)/rtun-socks' \(arguments.joined(separator: " ")) 2> >(sleep 60)"],
            environment: ["RTUN_SECRET": Cluster.secret])
        _ = try await stuck.line("the ready line") { $0.contains(" ready ") }
        for _ in 0..<500 {
            let connection = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
            try await onThread {
                try connection.send("x")
                #expect(try connection.receive(exactly: 1) == Array("x".utf8))
            }
        }
        await stopAll([cluster.server, agent.program, stuck])
    }
}
