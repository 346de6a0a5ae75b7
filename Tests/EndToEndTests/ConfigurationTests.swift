import Foundation
import TestSupport
import Testing

/// The programs with options from files and variables.
@Suite(.timeLimit(.minutes(2)))
struct ConfigurationTests {
    private let folder: TestFolder
    private let certificates: TestCertificates

    init() async throws {
        self.folder = try TestFolder()
        self.certificates = try await TestCertificates(in: self.folder)
        try self.folder.write("secret", "a secret of the tests\n")
    }

    /// Writes the user's file of a program.
    private func write(_ program: String, _ text: String) throws -> String {
        try FileManager.default.createDirectory(
            atPath: self.folder.file("rtun"), withIntermediateDirectories: true)
        return try self.folder.write("rtun/\(program).toml", text)
    }

    private func server(_ more: String = "") -> String {
        """
        [server]
        addr = "127.0.0.1:0"
        https-cert = "\(self.certificates.certificate)"
        https-key = "\(self.certificates.key)"
        secret-file = "\(self.folder.file("secret"))"
        stun-port = "off"
        \(more)
        """
    }

    private func start(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:]
    ) throws -> RunningProgram {
        try RunningProgram(
            program, arguments, environment: environment.merging(["XDG_CONFIG_HOME": self.folder.path]) { $1 })
    }

    @Test func `programs can be configured by files and variables alone`() async throws {
        let file = try self.write("rtun-server", self.server())
        let server = try self.start("rtun-server")
        let port = try await Cluster.readyPort(of: server)
        _ = try await server.logLine("the file in the log") { $0.contains("event=config.read") && $0.contains(file) }
        let agent = try self.start(
            "rtun-agent",
            environment: [
                "RTUN_URL": "https://localhost:\(port)", "RTUN_SECRET_FILE": self.folder.file("secret"),
                "RTUN_AGENT": "by-variable", "RTUN_CA_CERT": self.certificates.authority,
            ])
        _ = try await agent.line("the agent's ready line") { $0.hasPrefix("rtun-agent ready agent=by-variable ") }
        await stopAll([agent, server])
    }

    @Test func `SIGHUP applies what can change and names what cannot`() async throws {
        let file = try self.write("rtun-server", self.server())
        let server = try self.start("rtun-server")
        _ = try await Cluster.readyPort(of: server)

        try self.folder.write(
            "rtun/rtun-server.toml", self.server("log-level = \"debug\"\nbridge-rate = \"1M\"\nno-bridge = yes"))
        server.signal(SIGHUP)
        let failure = try await server.logLine("the mistake") { $0.contains("event=config.reload_failed") }
        #expect(failure.contains("\(file), line 9: "))

        try self.folder.write(
            "rtun/rtun-server.toml",
            self.server(
                "log-level = \"debug\"\nbridge-rate = \"1M\"\ncongestion = \"cubic\"\ntrusted-proxy = \"10.0.0.0/8\""))
        server.signal(SIGHUP)
        let needed = try await server.logLine("what needs a restart") { $0.contains("event=config.restart_needed") }
        #expect(needed.contains("option=congestion") && needed.contains("place=\(file):9"))
        let changed = try await server.logLine("what has changed") { $0.contains("event=config.reloaded") }
        #expect(changed.contains("changed=bridge-rate,log-level,trusted-proxy"), "\(changed)")

        try FileManager.default.removeItem(atPath: file)
        let lines = server.errors.lines.count
        server.signal(SIGHUP)
        let gone = try await server.logLine("the missing file", from: lines) { $0.contains("event=config.") }
        #expect(gone.contains("event=config.reload_failed") && gone.contains(file), "\(gone)")
        #expect(server.isRunning)
        await server.stop()
    }

    @Test func `SIGHUP changes an agent's rules and a proxy's logins`() async throws {
        let agentFile = try self.write(
            "rtun-agent", "[rtun-agent]\nurl = \"http://127.0.0.1:1\"\nsecret-file = \"\(self.folder.file("secret"))\"")
        let agent = try self.start("rtun-agent")
        _ = try await agent.logLine("the failed connection") { $0.contains("no connection to the server") }
        try self.folder.write(
            "rtun/rtun-agent.toml",
            String(contentsOfFile: agentFile, encoding: .utf8) + "\ndeny = \"*:25\"\nmax-peers = 3\n")
        agent.signal(SIGHUP)
        let changed = try await agent.logLine("what has changed") { $0.contains("event=config.reloaded") }
        #expect(changed.contains("changed=deny "), "\(changed)")
        _ = try await agent.logLine("what needs a restart") { $0.contains("option=max-peers") }
        await agent.stop()

        let socksFile = try self.write(
            "rtun-socks",
            "[socks]\nlisten = \"127.0.0.1:0\"\nurl = \"http://127.0.0.1:1\"\nsecret-file = \"\(self.folder.file("secret"))\""
        )
        let socks = try self.start("rtun-socks")
        let ready = try await socks.line("the ready line") { $0.hasPrefix("rtun-socks ready ") }
        let port = try #require(ready.split(separator: ":").last.map(String.init))
        let ask = "printf '\\5\\1\\0' | timeout 5 ncat 127.0.0.1 \(port) | od -An -tx1 -N2"
        #expect(try await ShellCommand.run(ask).contains("05 00"))
        try self.folder.write(
            "rtun/rtun-socks.toml", String(contentsOfFile: socksFile, encoding: .utf8) + "\nauth = [\"me:pass\"]\n")
        socks.signal(SIGHUP)
        _ = try await socks.logLine("what has changed") { $0.contains("changed=auth") }
        #expect(!socks.errors.text.contains("pass\""))
        // The change is made on the event loop behind the line.
        try await expectWithin(.seconds(5)) {
            let clock = ContinuousClock()
            let began = clock.now
            while try await !ShellCommand.run(ask).contains("05 ff") {
                try await clock.sleep(for: .milliseconds(100))
                if clock.now - began > .seconds(5) { break }
            }
            return clock.now - began
        }
        // A proxy does not open itself because its file has gone for a moment, or has become a pipe; all this is said at any level.
        try self.folder.write(
            "rtun/rtun-socks.toml",
            String(contentsOfFile: socksFile, encoding: .utf8) + "\nlog-level = \"error\"\n")
        socks.signal(SIGHUP)
        _ = try await socks.logLine("the new level") { $0.contains("changed=log-level") }
        try FileManager.default.removeItem(atPath: socksFile)
        socks.signal(SIGHUP)
        _ = try await socks.logLine("the missing file") {
            $0.contains("event=config.reload_failed") && $0.contains("is gone")
        }
        #expect(mkfifo(socksFile, 0o600) == 0)
        socks.signal(SIGHUP)
        _ = try await socks.logLine("the pipe") {
            $0.contains("event=config.reload_failed") && $0.contains("not a regular file")
        }
        #expect(try await ShellCommand.run(ask).contains("05 ff"))
        await socks.stop()
    }

    @Test func `--print-config shows where values come from, and no secrets`() async throws {
        let file = try self.write("rtun-relay", "[[relay.rule]]\nlisten = \"127.0.0.1:0\"\nto = \"192.0.2.1:53\"")
        let relay = try self.start(
            "rtun-relay", ["--print-config", "--log-level", "debug"],
            environment: ["RTUN_URL": "http://127.0.0.1:1", "RTUN_SECRET": "hidden secret"])
        #expect(try await relay.end() == .exit(0))
        for line in [
            "url = \"http://127.0.0.1:1\"  # environment variable RTUN_URL",
            "secret = \"***\"  # environment variable RTUN_SECRET", "log-level = \"debug\"  # command line",
            "L = [\"127.0.0.1:0?to=192.0.2.1:53\"]  # \(file):1", "max-flows = 65536  # default",
        ] {
            #expect(relay.output.lines.contains(line), "\(relay.output.text)")
        }
        #expect(!relay.output.text.contains("hidden"))
        // A check that is asked for as well follows.
        let both = try self.start(
            "rtun-relay",
            ["--print-config", "--check-config", "--secret-file", "/nonexistent", "http://127.0.0.1:1"])
        #expect(try await both.end() == .exit(69))
        #expect(
            both.output.text.contains("secret-file = \"/nonexistent\"") && both.errors.text.contains("/nonexistent"))
        // What lacks is said behind it.
        let agent = try self.start("rtun-agent", ["--print-config"])
        #expect(try await agent.end() == .exit(64))
        #expect(agent.output.text.contains("log-level = \"info\"  # default"))
    }

    @Test func `--check-config checks the configuration without starting`() async throws {
        let secret = self.folder.file("secret")
        let broken = try self.folder.write("broken.toml", "[server]\naddr = 127.0.0.1:1\n")
        let rule = try self.folder.write(
            "rule.toml", "[relay]\nurl = \"http://a\"\n[[relay.rule]]\nlisten = \"127.0.0.1:0\"\nto = \"name:5\"")
        let ruleless = try self.folder.write("ruleless.toml", "[relay]\nurl = \"http://a\"")
        let other = try await TestCertificates(in: self.folder, name: "other")
        let pair = ["--https-cert", self.certificates.certificate, "--https-key", self.certificates.key]
        let url = "https://127.0.0.1:1"
        for (program, arguments, status, words) in [
            ("rtun-server", pair, 0, "rtun-server: the configuration is fine (no configuration file)"),
            ("rtun-server", ["--config", broken], 78, "\(broken), line 2: "),
            ("rtun-server", ["--config", "/nonexistent"], 69, "/nonexistent"),
            ("rtun-server", ["--https-cert", pair[1], "--https-key", other.key], 78, other.key),
            ("rtun-server", ["--https-cert", pair[1], "--https-key", "/nonexistent"], 69, "/nonexistent"),
            ("rtun-server", ["--log-file", "/nonexistent/log"], 69, "/nonexistent/log"),
            ("rtun-agent", [url], 0, "rtun-agent: the configuration is fine"),
            ("rtun-agent", [url, "--ca-cert", "/nonexistent"], 69, "/nonexistent"),
            ("rtun-agent", ["nonsense"], 64, "nonsense"),
            ("rtun-socks", [url], 0, "rtun-socks: the configuration is fine"),
            ("rtun-socks", [url, "--e2e-secret-file", "/nonexistent"], 69, "/nonexistent"),
            ("rtun-relay", [url, "-L", "127.0.0.1:0?to=192.0.2.1:53"], 0, "rtun-relay: the configuration is fine"),
            ("rtun-relay", [url, "-L", "127.0.0.1:0"], 64, "the rule has no target"),
            ("rtun-relay", ["--config", rule], 78, "\(rule), line 3: \"name\" is a name"),
            ("rtun-relay", ["--config", ruleless], 64, "no rule given"),
        ] as [(String, [String], Int32, String)] {
            let check = try self.start(program, arguments + ["--check-config", "--secret-file", secret])
            #expect(try await check.end() == .exit(status), "\(arguments)")
            let said = status == 0 ? check.output.text : check.errors.text
            #expect(said.contains(words), "\(said)")
        }
    }
}
