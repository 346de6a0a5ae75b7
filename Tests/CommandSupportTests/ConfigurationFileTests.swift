import ArgumentParser
import Foundation
import Testing

@testable import CommandSupport

@Suite struct ConfigurationFileTests {
    /// A command with one option of each kind.
    private struct Example: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "example")
        @OptionGroup var server: ServerConnectionOptions
        @OptionGroup var secret: SecretOptions
        @OptionGroup var peers: PeerOptions
        @OptionGroup var config: ConfigurationOptions
        @Option(name: [.customLong("expire_in"), .customLong("expire-in")]) var expireIn: String?
        @Option(name: .short) var L: [String] = []
    }

    private func arguments(
        _ text: String, _ commandLine: [String] = [], environment: [String: String] = [:]
    ) throws -> [String] {
        try ConfigurationFile(path: "rtun.toml", text: text).arguments(
            program: "example", syntax: CommandSyntax(of: Example.self), commandLine: commandLine,
            environment: { environment[$0] }
        ).words
    }

    @Test func `a byte order mark and the line ends of other systems are fine`() throws {
        let text = "\u{FEFF}[example]\r\nurl = \"quic://127.0.0.1:1\"\r\n\r\nL = [\"x\",\r\n  \"y\"]\r\n"
        let folder = FileManager.default.temporaryDirectory.appending(path: "rtun-toml-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(text.utf8).write(to: folder)
        let file = try #require(
            try ConfigurationFile.find(commandLine: ["--config", folder.path], environment: { _ in nil }))
        let arguments = try file.arguments(
            program: "example", syntax: CommandSyntax(of: Example.self), commandLine: [], environment: { _ in nil })
        #expect(arguments.words == ["-L=x", "-L=y", "quic://127.0.0.1:1"])
        #expect(arguments.lines == [2, 4])
        #expect(arguments.words(without: 4) == ["quic://127.0.0.1:1"])
    }

    @Test func `an empty variable replaces nothing in the file`() throws {
        let text = "[example]\nsecret-file = \"/etc/rtun/secret\""
        #expect(try self.arguments(text, environment: ["RTUN_SECRET": ""]) == ["--secret-file=/etc/rtun/secret"])
        #expect(try self.arguments(text, environment: ["RTUN_SECRET": "x"]) == [])
    }

    @Test func `options of the file become arguments`() throws {
        let text = """
            [rtun-server]
            unknown = 1
            [example]
            url = "quic://127.0.0.1:1"
            quic-insecure = true
            https-insecure = false
            expire-in = 0.5
            stun = ["a:1", "b:2"]
            congestion = "cubic"
            L = "x"
            """
        let arguments = try self.arguments(text)
        #expect(
            arguments == [
                "--quic-insecure", "--expire-in=0.5", "--stun=a:1", "--stun=b:2", "--congestion=cubic", "-L=x",
                "quic://127.0.0.1:1",
            ])
        let command = try #require(try Example.parseAsRoot(arguments) as? Example)
        #expect(command.server.url == "quic://127.0.0.1:1" && command.server.quicInsecure)
        #expect(command.expireIn == "0.5")
        #expect(command.peers.stunServers.count == 2)
        #expect(command.peers.congestion == .cubic)
        #expect(command.L == ["x"])
    }

    @Test(
        arguments: [
            (["--stun", "c:3"], [:], ["--secret-file=f", "--expire_in=1", "https://file"]),
            (["--stun=c:3"], [:], ["--secret-file=f", "--expire_in=1", "https://file"]),
            (["https://line"], [:], ["--secret-file=f", "--stun=a:1", "--expire_in=1"]),
            (
                ["--ca-cert", "https://no-url"], [:],
                ["--secret-file=f", "--stun=a:1", "--expire_in=1", "https://file"]
            ),
            (["--", "-odd"], [:], ["--secret-file=f", "--stun=a:1", "--expire_in=1"]),
            (["--expire-in", "2"], [:], ["--secret-file=f", "--stun=a:1", "https://file"]),
            (["--secret", "s"], [:], ["--stun=a:1", "--expire_in=1", "https://file"]),
            ([], ["RTUN_SECRET": "s"], ["--stun=a:1", "--expire_in=1", "https://file"]),
        ] as [([String], [String: String], [String])])
    func `the command line and the environment win`(
        commandLine: [String], environment: [String: String], added: [String]
    ) throws {
        let text = "[example]\nsecret-file = \"f\"\nstun = \"a:1\"\nexpire_in = 1\nurl = \"https://file\""
        #expect(try self.arguments(text, commandLine, environment: environment) == added)
    }

    @Test(arguments: [
        (
            "sekret = \"x\"",
            "configuration file rtun.toml, line 2: sekret is no option of example; the nearest is \"secret\""
        ),
        (
            "config = \"x\"",
            "configuration file rtun.toml, line 2: config is no option of example; the nearest is \"url\""
        ),
        ("quic-insecure = \"yes\"", "configuration file rtun.toml, line 2: quic-insecure must be true or false"),
        ("secret = [\"a\", \"b\"]", "configuration file rtun.toml, line 2: secret takes one value, not an array"),
        ("stun = [true]", "configuration file rtun.toml, line 2: stun must be text or a number"),
        ("ca-cert = \"\"", "configuration file rtun.toml, line 2: ca-cert is empty; leave it out if it is not wanted"),
        ("secret = sec123", "configuration file rtun.toml, line 2: \"sec123\" is no value; text needs quotes"),
    ])
    func `what is wrong is named with file and line`(entry: String, message: String) {
        let error = #expect(throws: ProgramError.self) { try self.arguments("[example]\n\(entry)") }
        #expect(error == ProgramError(.configuration, message))
    }

    @Test(arguments: ["rtun-agnet", "server", "RTUN-AGENT", "rtun_socks"])
    func `a table that nobody would read is named`(name: String) {
        let error = #expect(throws: ProgramError.self) { try self.arguments("[example]\n[\(name)]\nx = 1") }
        #expect(error?.status == .configuration)
        #expect(error?.message.contains("line 2: [\(name)] is no table of a program; the nearest is [rtun-") == true)
    }

    @Test func `a file that cannot be read is named`() {
        for (commandLine, environment) in [
            (["--config", "/nonexistent/rtun.toml"], [:]), (["--config=/nonexistent/rtun.toml"], [:]),
            ([], ["RTUN_CONFIG": "/nonexistent/rtun.toml"]),
        ] as [([String], [String: String])] {
            let error = #expect(throws: ProgramError.self) {
                try ConfigurationFile.find(commandLine: commandLine, environment: { environment[$0] })
            }
            #expect(error?.status == .unavailable)
            #expect(error?.message.contains("/nonexistent/rtun.toml") == true)
        }
    }

    @Test func `the command line's congestion control replaces the file's`() throws {
        let text = "[example]\ncongestion = \"cubic\""
        #expect(try self.arguments(text) == ["--congestion=cubic"])
        #expect(try self.arguments(text, ["--congestion", "bbr"]) == [])
    }

    @Test func `without a file nothing is read`() throws {
        #expect(try ConfigurationFile.find(commandLine: ["--", "--config", "x"], environment: { _ in nil }) == nil)
    }

    @Test(arguments: [("", "", 0), ("abc", "abc", 0), ("secret", "sekret", 1), ("stun", "", 4), ("allow", "alow", 1)])
    func `the distance between words counts edits`(left: String, right: String, distance: Int) {
        #expect(EditDistance.between(left, right) == distance)
        #expect(EditDistance.between(right, left) == distance)
    }
}
