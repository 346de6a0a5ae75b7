import Foundation
import TestSupport
import Testing

/// What people see on a terminal, which is one: a pty, and a small emulation of what such a thing shows.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct TerminalTests {
    private static let script = Interpreter.root + "/Tests/EndToEndTests/terminal_session.py"

    /// Runs one of the programs on a terminal, step by step; returns the rows that are to be seen in the end.
    private func session(
        _ steps: [String], columns: Int = 100, _ command: String, environment: String = "TERM=xterm LANG=C.UTF-8"
    ) async throws -> [String] {
        let output = try await ShellCommand.run(
            """
            unset NO_COLOR; \(environment.split(separator: " ").map { "export \($0); " }.joined())
            export PATH='\(RunningProgram.folder)':"$PATH"
            RTUN_SECRET='\(Cluster.secret)' python3 '\(Self.script)' \(columns) '\(steps.joined(separator: "|"))' \(command)
            """)
        let rows = output.components(separatedBy: "\n")
        #expect(rows.last == "ok", "\(output)")
        return Array(rows.dropLast())
    }

    private func socks(_ cluster: Cluster, _ options: String = "") -> String {
        "rtun-socks --listen 127.0.0.1:0 \(cluster.url) --ca-cert '\(cluster.certificates.authority)' \(options)"
    }

    @Test func `lines are for people, and the live line stays below them`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("office")
        let rows = try await self.session(
            [
                "see:office, direct", "see:connections", "log:connected to office", "log:connected to the server",
                "colored",
                // A short row, in which the live line is cut.
                "width:30", "wait:1.5", "see:office", "signal:15", "blank", "ended",
            ], self.socks(cluster))
        let log = rows.filter { !$0.isEmpty && !$0.contains(" ready ") }
        let time = try Regex("^[0-9]{2}:[0-9]{2}:[0-9]{2} ")
        for row in log.prefix(while: { !$0.contains("stopping") }) {
            #expect(row.firstMatch(of: time) != nil, "\(row)")
            #expect(!row.contains("event=") && !row.contains("instance="), "\(row)")
        }
        // A path that comes later has a line of its own.
        #expect(log.contains { $0.contains(" connected to office, ") })
        #expect(!rows.contains { $0.contains("↑") }, "the live line is left behind")
        await stopAll([cluster.server, agent.program])
    }

    @Test func `NO_COLOR, a dumb terminal and --log-format text do what they say`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("office")
        let command = self.socks(cluster)
        _ = try await self.session(
            ["see:office, direct", "plain", "signal:2", "blank", "ended"], command,
            environment: "TERM=xterm LANG=C NO_COLOR=1")
        _ = try await self.session(
            ["log:connected to office", "wait:2", "plain", "noline", "signal:2", "ended"], command,
            environment: "TERM=dumb")
        let text = try await self.session(
            ["log:event=peer.connected", "wait:2", "plain", "noline", "signal:2", "ended"], columns: 400,
            self.socks(cluster, "--log-format text"))
        #expect(text.contains { $0.contains("Z info ") && $0.contains("event=program.started") })
        let file = cluster.folder.file("log")
        _ = try await self.session(
            ["see:", "wait:3", "plain", "noline", "signal:2", "ended"], self.socks(cluster, "--log-file '\(file)'"))
        #expect(try String(contentsOfFile: file, encoding: .utf8).contains("Z info connected to the server event="))
        await stopAll([cluster.server, agent.program])
    }

    @Test func `a program that is stopped by its terminal leaves a clean row, and goes on`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("office")
        _ = try await self.session(
            [
                "see:office, direct", "type:^Z", "stopped", "wait:0.3", "blank", "signal:18", "see:office, direct",
                "type:^C",
                "ended", "blank",
            ], self.socks(cluster))
        await stopAll([cluster.server, agent.program])
    }

    @Test func `in the background nothing is drawn, and in front it is again`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("office")
        let shell = try cluster.folder.write(
            "shell.sh",
            """
            set -m
            \(self.socks(cluster)) &
            read -r line
            fg > /dev/null
            """)
        // The shell is in front until it has read a line.
        _ = try await self.session(
            ["log:connected to office", "wait:2.5", "noline", "type:go\n", "see:office, direct", "type:^C", "ended"],
            "bash '\(shell)'")
        await stopAll([cluster.server, agent.program])
    }

    @Test func `a relay sums its rules up`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("office")
        _ = try await self.session(
            ["see:office, direct", "see:0 flows", "signal:15", "blank", "ended"],
            """
            rtun-relay -L '127.0.0.1:0?to=127.0.0.1:9' -L '127.0.0.1:0?to=127.0.0.1:10' \(cluster.url) \
                --ca-cert '\(cluster.certificates.authority)'
            """)
        await stopAll([cluster.server, agent.program])
    }

    @Test func `without an agent the live line says why`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("office")
        _ = try await self.session(
            [
                "log:warning: no agent matches \"nope\"; registered: office", "see:no agent matches \"nope\"",
                "signal:15", "ended",
            ],
            self.socks(cluster, "--agent nope"))
        await stopAll([cluster.server, agent.program])
        _ = try await self.session(
            [
                "log:warning: no connection to the server: connection refused",
                "see:there is no connection to the server",
                "signal:15", "ended",
            ],
            self.socks(cluster))
    }
}
