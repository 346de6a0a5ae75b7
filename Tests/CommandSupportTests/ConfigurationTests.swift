import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import CommandSupport

/// Where files and variables are found, and what is said of them.
@Suite struct ConfigurationTests {
    private struct Example: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "rtun-socks")
        @OptionGroup var server: ServerConnectionOptions
        @OptionGroup var secret: SecretOptions
        @OptionGroup var peers: PeerOptions
        @OptionGroup var logging: LoggingOptions
        @Option(name: .customLong("auth")) var auth: [String] = []
    }

    private let folder: TestFolder

    init() throws {
        self.folder = try TestFolder()
        for name in ["etc/rtun", "home/.config/rtun", "xdg/rtun"] {
            try self.folder.makeFolder(name)
        }
    }

    private func write(_ text: String, to path: String) throws -> String {
        try self.folder.write(path, text)
    }

    private func places(_ commandLine: [String] = [], _ environment: [String: String] = [:]) -> ConfigurationPlaces {
        ConfigurationPlaces(
            program: "rtun-socks", commandLine: commandLine, environment: { environment[$0] },
            system: self.folder.file("etc"))
    }

    private func source(
        _ commandLine: [String] = [], places: ConfigurationPlaces, variables: [String: String] = [:]
    ) -> ConfigurationSource {
        ConfigurationSource(
            program: "rtun-socks", tables: [], places: places, variables: variables, commandLine: commandLine
        ) { try CommandSyntax(of: Example.self) }
    }

    @Test func `files are looked for in the system's folder and the user's`() throws {
        let home = self.folder.file("home")
        let xdg = self.folder.file("xdg")
        let system = self.folder.file("etc/rtun/rtun-socks.toml")
        #expect(self.places().defaults == [system])
        #expect(self.places([], ["HOME": home]).defaults == [system, "\(home)/.config/rtun/rtun-socks.toml"])
        #expect(
            self.places([], ["HOME": home, "XDG_CONFIG_HOME": xdg]).defaults == [system, "\(xdg)/rtun/rtun-socks.toml"])
        // Relative ones do not count.
        #expect(self.places([], ["HOME": "home", "XDG_CONFIG_HOME": "xdg"]).defaults == [system])
        #expect(self.places([], ["XDG_CONFIG_HOME": "", "HOME": home]).defaults.count == 2)

        let environment = ["XDG_CONFIG_HOME": xdg]
        #expect(try self.source(places: self.places([], environment)).readIfAny() == nil)
        _ = try self.write("[socks]\nurl = \"https://system\"\nstun = \"a:1\"", to: "etc/rtun/rtun-socks.toml")
        let user = try self.write("[socks]\nurl = \"https://user\"", to: "xdg/rtun/rtun-socks.toml")
        let both = try #require(try self.source(places: self.places([], environment)).readIfAny())
        #expect(both.files == [system, user])
        #expect(both.words == ["--stun=a:1", "https://user"])
        // One that is asked for is the only one.
        for (commandLine, more) in [
            (["--config", user], [:]), (["--config=\(user)"], [:]), ([], ["RTUN_CONFIG": user]),
            (["--config", user], ["RTUN_CONFIG": "/nonexistent"]),
        ] as [([String], [String: String])] {
            let places = self.places(commandLine, environment.merging(more) { $1 })
            #expect(places.named == user)
            #expect(try self.source(places: places).read().files == [user])
        }
        #expect(self.places(["--", "--config", "x"], environment).named == nil)
        #expect(self.places([], ["RTUN_CONFIG": ""]).named == nil)
    }

    @Test func `a file that cannot be read is named`() {
        for places in [
            self.places(["--config", "/nonexistent/rtun.toml"]),
            self.places([], ["RTUN_CONFIG": "/nonexistent/rtun.toml"]),
        ] {
            let error = #expect(throws: ProgramError.self) { try places.read { _ in } }
            #expect(error?.status == .unavailable)
            #expect(error?.message.contains("/nonexistent/rtun.toml") == true)
        }
        let folder = #expect(throws: ProgramError.self) {
            try self.places(["--config", self.folder.path]).read { _ in }
        }
        #expect(folder?.status == .unavailable)
    }

    @Test func `a pipe is recognised as readable only once`() throws {
        let file = try self.write("[socks]", to: "rtun.toml")
        let pipe = self.folder.file("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        for path in [file, self.folder.path, "/nonexistent", "/dev/null"] {
            #expect(self.places(["--config", path]).unrepeatable == nil)
        }
        #expect(self.places(["--config", pipe]).unrepeatable == pipe)
        #expect(self.places().unrepeatable == nil)
    }

    @Test func `a URL's password is masked with a scheme and without`() throws {
        for (url, shown) in [
            ("user:pa/ss@host:1", "***@host:1"), ("quic://a@b@host", "quic://***@host"), ("h:1", "h:1"),
        ] {
            let places = self.places()
            let configuration = try self.source([url], places: places).read()
            let report = ConfigurationReport(program: "rtun-socks", configuration: configuration, places: places)
            #expect(report.text.contains("url = \"\(shown)\"  # command line\n"), "\(report.text)")
        }
    }

    @Test func `a folder is refused as a log file`() throws {
        let error = #expect(throws: ProgramError.self) {
            try LoggingOptions.parse(["--log-file", self.folder.path]).check()
        }
        #expect(error?.status == .unavailable)
    }

    @Test func `a file that is too large or not text is refused`() throws {
        let large = try self.write(String(repeating: "#", count: ConfigurationFile.maximumSize + 1), to: "large.toml")
        let error = #expect(throws: ProgramError.self) { try ConfigurationFile(reading: large) }
        #expect(error?.status == .unavailable)
        let binary = #expect(throws: ProgramError.self) { try ConfigurationFile(path: "x", bytes: [0x5B, 0xFF, 0x5D]) }
        #expect(binary == ProgramError(.configuration, "configuration file x, line 1: not UTF-8 text"))
    }

    @Test(arguments: [["--help"], ["-h"], ["--version"], ["--generate-completion-script", "bash"]])
    func `--help and --version are answered whatever the file says`(commandLine: [String]) throws {
        let broken = try self.write("[", to: "broken.toml")
        let places = self.places([], ["RTUN_CONFIG": broken])
        #expect(
            try self.source(commandLine, places: places, variables: ["RTUN_QUIC_INSECURE": "x"]).readIfAny() == nil)
        #expect(throws: ProgramError.self) { try self.source(places: places).readIfAny() }
    }

    @Test func `--print-config names each value's place, and shows no secret`() throws {
        let file = try self.write(
            "[socks]\nauth = [\"me:pass\", \"you:word\"]\nquic-insecure = true\nsecret = \"hidden\"\nlog-level = \"debug\"",
            to: "rtun.toml")
        let places = self.places(["--config", file])
        let source = self.source(
            ["--log-level", "warn", "https://user:pass@host:1\n"], places: places,
            variables: ["RTUN_STUN": "a:1 b:2", "RTUN_SECRET": "", "RTUN_P2P_SPREAD": "0"])
        let report = ConfigurationReport(program: "rtun-socks", configuration: try source.read(), places: places)
        let lines = report.text.split(separator: "\n").map(String.init)
        for line in [
            "# configuration files read: \(file)", "[rtun-socks]", "url = \"https://***@host:1\\n\"  # command line",
            "# ca-cert: not set", "https-insecure = false  # default", "quic-insecure = true  # \(file):3",
            "secret = \"***\"  # environment variable RTUN_SECRET", "# secret-file: not set",
            "p2p = \"auto\"  # default", "p2p-spread = 0  # environment variable RTUN_P2P_SPREAD",
            "stun = [\"a:1\", \"b:2\"]  # environment variable RTUN_STUN", "log-level = \"warn\"  # command line",
            "auth = [\"me:***\", \"you:***\"]  # \(file):2",
        ] {
            #expect(lines.contains(line), "\(line)\n\(report.text)")
        }
        for secret in ["hidden", "pass\"", "word"] { #expect(!report.text.contains(secret)) }
        // It is a file with the same meaning, apart from what is masked.
        let again = try ConfigurationFile(path: "report", bytes: Array(report.text.utf8)).settings(
            program: "rtun-socks", syntax: CommandSyntax(of: Example.self))
        #expect(again.contains { $0.argument.name == "stun" && $0.values == ["a:1", "b:2"] })
    }

    @Test func `variables are captured without secrets, and passwords removed`() {
        let environment = [
            "RTUN_AUTH": "me:pass", "RTUN_EMPTY": "", "RTUN_DENY": " \n", "RTUN_SECRET": "s", "RTUN_URL": "u",
            "PATH": "/bin",
        ]
        var taken: [String] = []
        let variables = ConfigurationEnvironment.capture(names: Array(environment.keys), value: { environment[$0] }) {
            taken.append($0)
            return environment[$0]
        }
        #expect(variables == ["RTUN_AUTH": "me:pass", "RTUN_SECRET": "", "RTUN_URL": "u"])
        #expect(taken.sorted() == ["RTUN_AUTH", "RTUN_URL"])
        #expect(ProcessEnvironment.names.contains("PATH"))
    }
}
