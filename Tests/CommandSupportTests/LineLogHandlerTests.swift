import Foundation
import Glibc
import Logging
import TestSupport
import Testing

@testable import CommandSupport

@Suite struct LineLogHandlerTests {
    private static let time = LogTimestamp(timespec(tv_sec: 1_795_470_291, tv_nsec: 7_900_000))

    private func line(
        _ format: LogFormat, _ message: String, _ metadata: Logger.Metadata, level: Logger.Level = .info
    ) -> String {
        LineLogHandler(level: .info, format: format, output: LogOutput())
            .line(time: Self.time, level: level, message: message, metadata: metadata)
    }

    @Test func `a text line has the event first and the other keys sorted`() {
        let line = self.line(
            .text, "peer connected",
            ["rtt_ms": "\(12)", "event": "peer.connected", "path": "direct", "remote": "192.0.2.1:4433"])
        #expect(
            line
                == "2026-11-23T21:44:51.007Z info peer connected event=peer.connected path=direct remote=192.0.2.1:4433 rtt_ms=12"
        )
    }

    @Test func `a new level and format apply to all loggers without their own`() {
        let settings = LogSettings(level: .info, format: .text)
        let handler = LineLogHandler(settings: settings, output: LogOutput())
        let logger = Logger(label: "test") { _ in handler }
        var own = logger
        own.logLevel = .warning
        settings.level = .debug
        settings.format = .json
        #expect(logger.logLevel == .debug)
        #expect(own.logLevel == .warning)
        #expect(handler.line(time: Self.time, level: .info, message: "x", metadata: [:]).hasPrefix("{"))
    }

    @Test func `advice comes last, behind the cause`() {
        let line = self.line(.text, "x", ["advice": "do", "server": "s", "error": "e", "event": "y"])
        #expect(line.hasSuffix("info x event=y error=e server=s advice=do"))
    }

    @Test func `numbers are numbers in JSON`() {
        let line = self.line(
            .json, "x",
            ["a": .stringConvertible(UInt64.max), "b": .stringConvertible(-1.5), "c": .stringConvertible(0.0 / 0)])
        #expect(line.hasSuffix(#""a":18446744073709551615,"b":-1.5,"c":"nan"}"#) || line.hasSuffix(#","c":"-nan"}"#))
    }

    @Test func `a warning is called warn`() {
        #expect(self.line(.text, "x", [:], level: .warning) == "2026-11-23T21:44:51.007Z warn x")
    }

    @Test(arguments: [
        ("plain", "plain"),
        ("", "\"\""),
        ("two words", "\"two words\""),
        ("a=b", "\"a=b\""),
        ("say \"hi\"", #""say \"hi\"""#),
        (#"back\slash"#, #""back\\slash""#),
        ("Büro", "\"Büro\""),
        ("a\nevent=forged", #""a\nevent=forged""#),
        ("\u{1B}[2J", #""\u{1b}[2J""#),
        ("a\r\tb", #""a\r\tb""#),
        ("\u{202E}gnp", #""\u{202e}gnp""#),
        ("\u{2028}\u{85}\u{0}", #""\u{2028}\u{85}\u{0}""#),
    ])
    func `hostile values cannot forge lines or keys`(value: String, written: String) {
        #expect(self.line(.text, "m", ["k": "\(value)"]) == "2026-11-23T21:44:51.007Z info m k=\(written)")
    }

    @Test func `a hostile message stays on its line`() {
        #expect(self.line(.text, "a\nb\u{1B}[0m", [:]).hasSuffix(#" info a\nb\u{1b}[0m"#))
    }

    @Test func `a JSON line reads back`() throws {
        let line = self.line(
            .json, "quote \" back \\ line \n escape \u{1B} 💡 \u{1F3F4}\u{E0067}",
            [
                "event": "x.y", "n": .stringConvertible(7), "on": .stringConvertible(true), "list": ["a", "b"],
                "map": ["k": "v"],
            ])
        #expect(!line.contains("\n"))
        #expect(line.hasPrefix(#"{"time":"2026-11-23T21:44:51.007Z","level":"info","message":"#))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["message"] as? String == "quote \" back \\ line \n escape \u{1B} 💡 \u{1F3F4}\u{E0067}")
        #expect(object["event"] as? String == "x.y")
        #expect(object["n"] as? Int == 7)
        #expect(object["on"] as? Bool == true)
        #expect(object["list"] as? [String] == ["a", "b"])
        #expect(object["map"] as? [String: String] == ["k": "v"])
    }

    @Test func `a rotated file is reopened`() throws {
        let folder = try TestFolder()
        let path = folder.file("log")
        let log = try LoggingOptions.parse(["--log-file", path, "--log-level", "warn"]).open(program: "test")
        log.logger.info("left out")
        log.logger.warning("first", metadata: ["event": "e"])
        log.output.flush()
        try FileManager.default.moveItem(atPath: path, toPath: folder.file("log.1"))
        log.reopen()
        log.logger.error("second")
        log.output.flush()
        #expect(try String(contentsOfFile: folder.file("log.1"), encoding: .utf8).hasSuffix("Z warn first event=e\n"))
        #expect(try String(contentsOfFile: path, encoding: .utf8).hasSuffix("Z error second\n"))
    }

    @Test func `a log file that cannot be opened ends the program with 69`() throws {
        let options = try LoggingOptions.parse(["--log-file", "/nonexistent/rtun.log"])
        let error = #expect(throws: ProgramError.self) { try options.open(program: "test") }
        #expect(
            error
                == ProgramError(
                    .unavailable, "cannot open the log file /nonexistent/rtun.log: no such file or directory"))
    }
}
