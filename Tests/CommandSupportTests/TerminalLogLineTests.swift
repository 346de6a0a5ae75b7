import Foundation
import Logging
import Testing

@testable import CommandSupport

/// What people read on a terminal.
@Suite struct TerminalLogLineTests {
    private func line(
        _ level: Logger.Level = .info, _ message: String, _ metadata: Logger.Metadata = [:],
        _ style: TerminalLogLine.Style = .plain
    ) -> String {
        TerminalLogLine(level: level, message: message, metadata: metadata).text(at: "12:04:07", style: style)
    }

    private static let client: Logger.Metadata = ["agent": "office", "peer": "0123456789abcdef"]
    private static let agent: Logger.Metadata = ["peer": "0123456789abcdef"]

    @Test(
        arguments: [
            (
                "peer.connected", client, ["path": "direct", "remote": "192.0.2.1:4433", "rtt_ms": "12.3"],
                "connected to office, direct, 12 ms remote=192.0.2.1:4433"
            ),
            (
                "peer.connected", client, ["path": "bridge", "remote": "server", "rtt_ms": "0.4"],
                "connected to office, by way of the server, 0.4 ms"
            ),
            (
                "peer.connected", client, ["path": "bridge", "remote": "server"],
                "connected to office, by way of the server"
            ),
            (
                "peer.connected", agent, ["path": "direct", "remote": "192.0.2.1:4433", "rtt_ms": "9.96"],
                "connected to a client, direct from 192.0.2.1:4433, 10.0 ms"
            ),
            (
                "peer.connected", client, ["path": "direct", "remote": "r", "rtt_ms": "1", "udp": "127.0.0.1:15353"],
                "connected to office, direct, 1.0 ms remote=r udp=127.0.0.1:15353"
            ),
            (
                "peer.path_changed", client,
                [
                    "from": "bridge", "to": "direct", "path": "direct", "remote": "192.0.2.1:1", "rtt_ms": "7",
                    "reason": "confirmed",
                ],
                "the path to office is direct now, 7.0 ms remote=192.0.2.1:1"
            ),
            (
                "peer.path_changed", client,
                [
                    "from": "direct", "to": "bridge", "path": "bridge", "remote": "server",
                    "reason": "carries_only_small_datagrams",
                ],
                "the path to office leads by way of the server now (carries only small datagrams)"
            ),
            (
                "peer.path_changed", agent, ["from": "direct", "to": "none", "reason": "silent"],
                "there is no path to a client at the moment (silent)"
            ),
            (
                "peer.closed", client, ["reason": "closed: not needed any more"],
                "the channel to office is closed: not needed any more"
            ),
            ("agent.gone", client, ["reason": "stopped", "instance": "0123"], "office is gone: stopped"),
            (
                "agent.registered", ["agent": "office"],
                ["remote": "192.0.2.9:1", "session": "7", "software": "rtun-agent/1"],
                "office has registered, from 192.0.2.9:1"
            ),
            (
                "peer.opened", client, ["client": "198.51.100.7:5000", "session": "7", "kind": "tunnel"],
                "198.51.100.7:5000 uses office"
            ),
            (
                "peer.closed", client,
                [
                    "client": "198.51.100.7:5000", "session": "7", "kind": "relay", "target": "192.0.2.3:53",
                    "bridged_bytes": "1234567", "bridged_in": "1234560", "bridged_out": "7", "seconds": "61",
                    "reason": "closed by the client",
                ],
                "198.51.100.7:5000 uses office for 192.0.2.3:53 no more, after 61 s, 1.2 MB by way of the server: closed by the client"
            ),
            // An event that nobody has put into words, and keys that do not fit: the message stands.
            ("x.new", client, ["size": "7"], "what happened agent=office size=7"),
            ("peer.opened", [:], ["kind": "tunnel"], "what happened kind=tunnel"),
        ] as [(String, Logger.Metadata, [String: String], String)])
    func `what happens every day reads as a sentence`(
        event: String, own: Logger.Metadata, keys: [String: String], words: String
    ) {
        var metadata = own.merging(keys.mapValues { .string($0) }) { $1 }
        metadata["event"] = "\(event)"
        #expect(self.line(.info, "what happened", metadata) == "12:04:07 \(words)")
    }

    @Test func `the agent in use is named`() {
        let metadata: Logger.Metadata = [
            "event": "agent.selected", "agent": "office", "instance": "0123", "after_s": "312",
        ]
        #expect(self.line(.info, "using the agent", metadata) == "12:04:07 using office")
        #expect(
            self.line(.info, "using the agent, after 5 min 12 s without one", metadata)
                == "12:04:07 using office, after 5 min 12 s without one")
    }

    @Test func `a warning says so, and its advice stands below`() {
        let metadata: Logger.Metadata = [
            "event": "signal.failed", "server": "https://rtun.example.com:8888", "retry_in_ms": .stringConvertible(400),
            "error": "connection refused", "advice": "check that rtun-server runs there",
            "away_s": .stringConvertible(12),
        ]
        #expect(
            self.line(.warning, "no connection to the server: connection refused", metadata) == """
                12:04:07 warning: no connection to the server: connection refused server=https://rtun.example.com:8888
                         check that rtun-server runs there
                """)
        #expect(self.line(.error, "x") == "12:04:07 error: x")
        #expect(self.line(.notice, "x") == "12:04:07 x")
    }

    @Test func `a report has lines of its own`() {
        let metadata: Logger.Metadata = ["event": "peer.paths", "report": "pairs:\n  a -> b\u{1B}[2J", "peer": "0123"]
        #expect(
            self.line(.info, "no direct path", metadata) == """
                12:04:07 no direct path
                         pairs:
                           a -> b\\u{1b}[2J
                """)
    }

    @Test func `who looks for a fault sees every key`() {
        let metadata: Logger.Metadata = ["event": "flow.opened", "flow": .stringConvertible(7), "peer": "0123"]
        #expect(
            self.line(.debug, "connected", metadata) == "12:04:07 debug: connected event=flow.opened flow=7 peer=0123")
    }

    @Test(arguments: [
        ("a\nb", "a\\nb"), ("\u{1B}[2J", "\\u{1b}[2J"), ("\u{202E}x", "\\u{202e}x"),
        ("\r12:00:00 ok", "\\r12:00:00 ok"),
        ("\u{9B}2J", "\\u{9b}2J"),
    ])
    func `what others have written cannot move the cursor`(hostile: String, written: String) {
        for style in [TerminalLogLine.Style.plain, .colored] {
            let shown = [
                self.line(.info, hostile, [:], style), self.line(.info, "m", ["error": "\(hostile)"], style),
                self.line(.info, "m", ["event": "agent.gone", "agent": "\(hostile)"], style),
                self.line(.warning, "m", ["advice": "\(hostile)"], style),
                self.line(.debug, hostile, ["error": "\(hostile)"], style),
            ]
            for line in shown {
                #expect(line.contains(written), "\(line)")
                #expect(!line.contains(hostile))
            }
        }
    }

    @Test func `letters of other scripts stay as they are`() {
        #expect(self.line(.info, "m", ["agents": "日本"]) == "12:04:07 m agents=日本")
        #expect(self.line(.info, "m", ["agents": "two words"]) == "12:04:07 m agents=\"two words\"")
    }

    @Test func `colours come only where they are wanted, and end where they should`() throws {
        let plain = self.line(.warning, "m", ["error": "some words", "advice": "a"])
        let colored = self.line(.warning, "m", ["error": "some words", "advice": "a"], .colored)
        #expect(!plain.contains("\u{1B}"))
        #expect(colored.contains("\u{1B}[1;33mwarning:\u{1B}[0m m"))
        #expect(colored.replacing(try Regex("\u{1B}\\[[0-9;]*m"), with: "") == plain)
        #expect(colored.hasSuffix("\u{1B}[0m"))
    }
}

@Suite struct TerminalTraitsTests {
    @Test(
        arguments: [
            ([:], false, false), (["TERM": "dumb"], false, false), (["TERM": "xterm-256color"], true, true),
            (["TERM": "xterm", "NO_COLOR": "1"], true, false), (["TERM": "xterm", "NO_COLOR": ""], true, true),
            (["TERM": "dumb", "NO_COLOR": ""], false, false), (["TERM": ""], false, false),
        ] as [([String: String], Bool, Bool)])
    func `the environment says what a terminal can do`(
        environment: [String: String], rewrites: Bool, colors: Bool
    ) {
        let traits = Terminal.Traits { environment[$0] }
        #expect(traits.rewritesLines == rewrites)
        #expect(traits.hasColors == colors)
    }

    @Test(
        arguments: [
            (["LANG": "C.UTF-8"], true), (["LANG": "de_DE.utf8"], true), (["LANG": "C"], false), ([:], false),
            (["LANG": "C.UTF-8", "LC_ALL": "C"], false), (["LANG": "C", "LC_CTYPE": "C.UTF-8", "LC_ALL": ""], true),
        ] as [([String: String], Bool)])
    func `the locale says whether it shows more than ASCII`(environment: [String: String], isUnicode: Bool) {
        #expect(Terminal.Traits { environment[$0] }.isUnicode == isUnicode)
    }
}

@Suite struct LogFormatChoiceTests {
    @Test(
        arguments: [
            ([], LogFormat.terminal, LogFormat.text), (["--log-format", "auto"], .terminal, .text),
            (["--log-format", "text"], .text, .text), (["--log-format", "json"], .json, .json),
            (["--log-format", "terminal"], .terminal, .terminal),
        ] as [([String], LogFormat, LogFormat)])
    func `the format goes by the terminal unless it is given`(
        arguments: [String], onTerminal: LogFormat, elsewhere: LogFormat
    ) throws {
        let options = try LoggingOptions.parse(arguments)
        #expect(options.format(onTerminal: true) == onTerminal)
        #expect(options.format(onTerminal: false) == elsewhere)
        #expect(throws: (any Error).self) { try LoggingOptions.parse(["--log-format", "colour"]) }
    }

    @Test func `the time of day is local, with the date when that is another one`() {
        setenv("TZ", "UTC-3", 1)
        tzset()
        defer {
            unsetenv("TZ")
            tzset()
        }
        let start = LogTimestamp(timespec(tv_sec: 1_795_470_291, tv_nsec: 0))  // 2026-11-23T21:44:51Z
        #expect(start.timeOfDay(since: start) == "00:44:51")
        let later = LogTimestamp(timespec(tv_sec: 1_795_470_291 + 86_400, tv_nsec: 0))
        #expect(later.timeOfDay(since: start) == "Nov 25 00:44:51")
    }
}
