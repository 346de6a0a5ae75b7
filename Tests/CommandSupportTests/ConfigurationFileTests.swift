import ArgumentParser
import Testing

@testable import CommandSupport

@Suite struct ConfigurationFileTests {
    /// A command with one option of each kind.
    private struct Example: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "rtun-relay")
        @OptionGroup var server: ServerConnectionOptions
        @OptionGroup var secret: SecretOptions
        @OptionGroup var peers: PeerOptions
        @OptionGroup var config: ConfigurationOptions
        @Option(name: [.customLong("expire_in"), .customLong("expire-in")]) var expireIn: String?
        @Option(name: .customLong("allow")) var allowed: [String] = []
        @Option(name: .customLong("deny")) var denied: [String] = []
        @Option(name: .short) var L: [String] = []
    }

    private static let tables = [
        ConfigurationTable("rule", option: "L", required: ["listen", "to"], optional: ["protocol"]) {
            "\($0["listen"] ?? "")>\($0["to"] ?? "")"
        }
    ]

    private func settings(_ text: String) throws -> [Setting] {
        try ConfigurationFile(path: "rtun.toml", bytes: Array(text.utf8)).settings(
            program: "rtun-relay", syntax: CommandSyntax(of: Example.self), tables: Self.tables)
    }

    private func configuration(
        _ texts: [String], _ commandLine: [String] = [], environment: [String: String] = [:]
    ) throws -> Configuration {
        let syntax = try CommandSyntax(of: Example.self)
        return try Configuration(
            syntax: syntax,
            files: try texts.enumerated().map { ("\($0).toml", try self.settings($1)) },
            environment: try ConfigurationEnvironment.settings(environment, syntax), commandLine: commandLine)
    }

    private func added(
        _ text: String, _ commandLine: [String] = [], environment: [String: String] = [:]
    ) throws -> [String] {
        try self.configuration([text], commandLine, environment: environment).words.dropLast(commandLine.count)
    }

    @Test func `a byte order mark and the line ends of other systems are fine`() throws {
        let text = "\u{FEFF}[relay]\r\nurl = \"quic://127.0.0.1:1\"\r\n\r\nL = [\"x\",\r\n  \"y\"]\r\n"
        #expect(try self.added(text) == ["-L", "x", "-L", "y", "quic://127.0.0.1:1"])
        #expect(
            try self.configuration([text]).origins == [
                .file(path: "rtun.toml", line: 2), .file(path: "rtun.toml", line: 4),
            ])
    }

    @Test func `a secret in the environment, which is loaded later, replaces that of the file`() throws {
        let text = "[relay]\nsecret-file = \"/etc/rtun/secret\""
        #expect(try self.added(text) == ["--secret-file=/etc/rtun/secret"])
        #expect(try self.added(text, environment: ["RTUN_SECRET": ""]) == [])
    }

    @Test func `options of the file become arguments`() throws {
        let text = """
            [rtun-server]
            unknown = 1
            [rtun-relay]
            url = "quic://127.0.0.1:1"
            quic-insecure = true
            https-insecure = false
            expire-in = 0.5
            stun = ["a:1", "b:2"]
            congestion = "cubic"
            p2p-spread = 0x10
            L = "x"
            [[rtun-relay.rule]]
            listen = "y"
            to = "z"
            [[rtun-relay.rule]]
            to = "b"
            listen = "a"
            """
        let words = try self.added(text)
        #expect(
            words == [
                "--quic-insecure", "--expire_in=0.5", "--stun=a:1", "--stun=b:2", "--congestion=cubic",
                "--p2p-spread=16", "-L", "x", "-L", "y>z", "-L", "a>b", "quic://127.0.0.1:1",
            ])
        let command = try #require(try Example.parseAsRoot(words) as? Example)
        #expect(command.server.url == "quic://127.0.0.1:1" && command.server.quicInsecure)
        #expect(command.expireIn == "0.5")
        #expect(command.peers.stunServers.count == 2)
        #expect(command.peers.congestion == .cubic)
        #expect(command.L == ["x", "y>z", "a>b"])
        #expect(
            try self.configuration([text]).origins.suffix(2) == [12, 15].map { .file(path: "rtun.toml", line: $0) })
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
            ([], ["RTUN_SECRET_FILE": "g"], ["--stun=a:1", "--expire_in=1", "--secret-file=g", "https://file"]),
            (
                ["--secret", "s"], ["RTUN_SECRET_FILE": "g", "RTUN_EXPIRE_IN": "3"],
                ["--stun=a:1", "--expire_in=3", "https://file"]
            ),
            (
                [], ["RTUN_URL": "https://variable", "RTUN_STUN": "d:4 e:5", "RTUN_QUIC_INSECURE": "yes"],
                ["--secret-file=f", "--expire_in=1", "--quic-insecure", "--stun=d:4", "--stun=e:5", "https://variable"]
            ),
            (["-Lx"], ["RTUN_L": "y"], ["--secret-file=f", "--stun=a:1", "--expire_in=1", "https://file"]),
        ] as [([String], [String: String], [String])])
    func `the command line wins over the environment, and that over the file`(
        commandLine: [String], environment: [String: String], added: [String]
    ) throws {
        let text = "[relay]\nsecret-file = \"f\"\nstun = \"a:1\"\nexpire_in = 1\nurl = \"https://file\""
        #expect(try self.added(text, commandLine, environment: environment) == added)
    }

    @Test func `the later file wins over the one before, value by value`() throws {
        let configuration = try self.configuration([
            "[relay]\nallow = \"a\"\nsecret = \"s\"\nurl = \"https://system\"\nquic-insecure = true\nstun = \"x:1\"",
            "[relay]\ndeny = \"b\"\nsecret-file = \"f\"\nurl = \"https://user\"\nquic-insecure = false",
        ])
        #expect(configuration.words == ["--stun=x:1", "--deny=b", "--secret-file=f", "https://user"])
    }

    @Test(arguments: [
        ("sekret = \"x\"", 2, "sekret is not an option of rtun-relay; the nearest is \"secret\""),
        ("rules = \"x\"", 2, "rules is not an option of rtun-relay; the nearest is \"rule\""),
        ("config = \"x\"", 2, "config is for the command line only"),
        ("print-config = true", 2, "print-config is for the command line only"),
        ("quic-insecure = \"yes\"", 2, "quic-insecure must be true or false"),
        ("secret = [\"a\", \"b\"]", 2, "secret takes one value, not an array"),
        ("stun = [\n  \"a:1\",\n  true]", 4, "stun must be text or a number, not true or false"),
        ("ca-cert = 2026-11-30", 2, "ca-cert must be text or a number, not a date or a time; text needs quotes"),
        ("stun = [[1]]", 2, "stun must be text or a number, not an array in an array"),
        ("[relay.stun]\na = 1", 2, "stun must be text or a number, not a table"),
        ("[relay.sub]\na = 1", 2, "sub is not an option of rtun-relay; the nearest is \"stun\""),
        ("ca-cert = \"\"", 2, "ca-cert is empty; leave it out if it is not wanted"),
        ("ca-cert = \"a\\u0000b\"", 2, "ca-cert must not contain a NUL"),
        ("secret = sec123", 2, "that is not a value; text needs quotes"),
        ("secret = 0x1F", 2, "secret must be text, which needs quotes"),
        ("secret = 1234e567", 2, "secret must be text, which needs quotes"),
        ("stun = inf", 2, "stun must not be inf or nan; text needs quotes"),
        ("expire_in = 1\nexpire-in = 2", 3, "expire-in says the same as rtun.toml:2 does; keep one"),
        ("rule = \"x\"", 2, "rule must be an array of tables: write [[rtun-relay.rule]]"),
        ("rule = [1]", 2, "rule must be an array of tables: write [[rtun-relay.rule]]"),
        ("[[relay.rule]]\nlisten = \"x\"", 2, "the rule lacks \"to\""),
        ("[[relay.rule]]\nlisten = \"x\"\ntoo = \"y\"", 4, "too is not a key of a rule; the nearest is \"to\""),
        (
            "[[relay.rule]]\nlisten = \"x\"\nto = 1.5\n[[relay.rule]]\nto = true", 6,
            "to must be text or a number, not true or false"
        ),
        (
            "[rtun-relay]\nstun = \"x\"", 2,
            "[rtun-relay] is the same table as [relay] in line 1; merge them"
        ),
        ("[rtun-agnet]", 2, "[rtun-agnet] is not the table of a program; the nearest is [rtun-agent]"),
        ("[SOCKS]", 2, "[SOCKS] is not the table of a program; the nearest is [socks]"),
        ("[rtun_socks]", 2, "[rtun_socks] is not the table of a program; the nearest is [rtun-socks]"),
    ])
    func `a mistake is named with file and line`(entry: String, line: Int, problem: String) {
        let error = #expect(throws: ProgramError.self) { try self.settings("[relay]\n\(entry)") }
        #expect(
            error == ProgramError(.configuration, "configuration file rtun.toml, line \(line): \(problem)"),
            "\(error?.message ?? "")")
    }

    @Test(arguments: [
        ("url = \"x\"\n[relay]", "\"url\" stands before the first table; put it under [rtun-relay]"),
        ("relay = 1", "relay must be a table: write [relay] on a line of its own"),
    ])
    func `a key outside its table is refused, with the table's name`(text: String, problem: String) {
        let error = #expect(throws: ProgramError.self) { try self.settings(text) }
        #expect(error == ProgramError(.configuration, "configuration file rtun.toml, line 1: \(problem)"))
    }

    @Test func `a whole number may be written as a float`() throws {
        #expect(try self.added("[relay]\nexpire-in = 1e7") == ["--expire_in=10000000"])
    }

    @Test func `a place may give only one of two exclusive options, unless a stronger place replaces both`() throws {
        let text = "[relay]\nsecret = \"a\"\nsecret-file = \"b\""
        let error = #expect(throws: ProgramError.self) { try self.configuration([text]) }
        #expect(
            error
                == ProgramError(
                    .configuration,
                    "configuration file rtun.toml, line 3: give either secret or secret-file, not both"))
        #expect(try self.added(text, ["--secret-file", "c"]) == [])
        #expect(try self.added(text, environment: ["RTUN_SECRET": ""]) == [])
        let words = try self.configuration([text, "[relay]\nsecret-file = \"c\""]).words
        #expect(words == ["--secret-file=c"])
        let variables = ["RTUN_SECRET": "", "RTUN_SECRET_FILE": "f"]
        #expect(try self.configuration([], ["--secret", "s"], environment: variables).words == ["--secret", "s"])
    }

    @Test func `an invalid variable is named`() throws {
        let flag = #expect(throws: ProgramError.self) {
            try self.configuration([], environment: ["RTUN_QUIC_INSECURE": "maybe"])
        }
        #expect(
            flag
                == ProgramError(.usage, "environment variable RTUN_QUIC_INSECURE: must be true or false, not \"maybe\"")
        )
        let both = #expect(throws: ProgramError.self) {
            try self.configuration([], environment: ["RTUN_SECRET": "", "RTUN_SECRET_FILE": "f"])
        }
        #expect(both?.message.contains("give either RTUN_SECRET or RTUN_SECRET_FILE, not both") == true)
    }

    @Test func `a variable takes several values, separated by blanks or by lines`() throws {
        let words = try self.configuration([], environment: ["RTUN_STUN": " a:1  b:2\tc:3", "RTUN_L": "x y\nz\n"]).words
        #expect(words == ["--stun=a:1", "--stun=b:2", "--stun=c:3", "-L", "x y", "-L", "z"])
    }

    @Test(arguments: [("", "", 0), ("abc", "abc", 0), ("secret", "sekret", 1), ("stun", "", 4), ("allow", "alow", 1)])
    func `the distance between words counts edits`(left: String, right: String, distance: Int) {
        #expect(EditDistance.between(left, right) == distance)
        #expect(EditDistance.between(right, left) == distance)
    }
}
