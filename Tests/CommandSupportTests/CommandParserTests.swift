import ArgumentParser
import Testing

@testable import CommandSupport

@Suite struct CommandParserTests {
    private struct Example: ProgramCommand {
        static let configuration = CommandConfiguration(commandName: "rtun-agent")
        static let example = "rtun-agent https://rtun.example.com"
        static let roleWords = ["agent"]
        var eventLoopCount: Int { 1 }
        @OptionGroup var server: ServerConnectionOptions
        @OptionGroup var peers: PeerOptions
        @OptionGroup var logging: LoggingOptions
        @Option(
            name: .customLong("auth"),
            transform: { text in
                guard text.contains(":") else { throw ValidationError("expected user:password") }
                return text
            })
        var auth: [String] = []

        func checkConfiguration() {}
        func run() async throws {}
    }

    private func parse(
        _ files: [String], _ variables: [String: String] = [:], _ commandLine: [String] = []
    ) throws -> Example? {
        let syntax = try CommandSyntax(of: Example.self)
        let configuration = try Configuration(
            syntax: syntax,
            files: try files.enumerated().map { index, text in
                let file = try ConfigurationFile(path: "\(index).toml", bytes: Array(text.utf8))
                return (file.path, try file.settings(program: "rtun-agent", syntax: syntax))
            }, environment: try ConfigurationEnvironment.settings(variables, syntax), commandLine: commandLine)
        return try CommandParser.command(Example.self, configuration) as? Example
    }

    @Test func `files, variables and the command line make one command`() throws {
        let command = try self.parse(
            ["[agent]\nlog-level = \"debug\"\np2p = \"direct\"\nurl = \"https://a\"", "[agent]\np2p = \"bridge\""],
            ["RTUN_URL": "https://b", "RTUN_LOG_FORMAT": "json"], ["--log-format", "text"])
        #expect(command?.logging.level == .debug)
        #expect(command?.logging.format(onTerminal: true) == .text)
        #expect(command?.peers.pathChoice == .bridge)
        #expect(command?.server.url == "https://b")
    }

    @Test(
        arguments: [
            (["[agent]\nurl = \"x\"\np2p = \"no\""], [:], [], 78, "configuration file 0.toml, line 3: "),
            (["[agent]\nurl = \"x\"", "[agent]\np2p = \"no\""], [:], [], 78, "configuration file 1.toml, line 2: "),
            (["[agent]\np2p = \"no\""], ["RTUN_URL": "x"], [], 78, "configuration file 0.toml, line 2: "),
            (["[agent]\nstun = [\"a:1\"]"], ["RTUN_P2P": "no"], ["x"], 64, "environment variable RTUN_P2P: "),
            (["[agent]\np2p-spread = -1"], [:], ["x"], 78, "configuration file 0.toml, line 2: "),
        ] as [([String], [String: String], [String], Int32, String)])
    func `the place of a wrong value is named`(
        files: [String], variables: [String: String], commandLine: [String], status: Int32, words: String
    ) {
        let error = #expect(throws: ProgramError.self) { try self.parse(files, variables, commandLine) }
        #expect(error?.status.rawValue == status)
        #expect(error?.message.hasPrefix(words) == true, "\(error?.message ?? "")")
    }

    @Test(
        arguments: [
            (["[agent]\nauth = \"wordx\""], [:], ["x"]), ([], ["RTUN_AUTH": "wordx"], ["x"]),
            ([], [:], ["x", "--auth", "wordx"]), ([], [:], ["x", "--auth=wordx"]),
        ] as [([String], [String: String], [String])])
    func `a secret value that is refused is not quoted`(
        files: [String], variables: [String: String], commandLine: [String]
    ) {
        let error = #expect(throws: (any Error).self) { try self.parse(files, variables, commandLine) }
        let message = error.map { ($0 as? ProgramError)?.message ?? Example.fullMessage(for: $0) } ?? ""
        #expect(message.contains("The value is invalid for '--auth <auth>': expected user:password"), "\(message)")
        #expect(!message.contains("wordx"))
        #expect(error.map { Example.exitCode(for: $0) } == .validationFailure || error is ProgramError)
    }

    @Test func `a mistake on the command line is not blamed on a file`() {
        for commandLine in [["x", "--p2p", "no"], ["--no-such", "x"]] {
            let error = #expect(throws: (any Error).self) {
                try self.parse(["[agent]\nstun = \"a:1\""], [:], commandLine)
            }
            #expect((error as? ProgramError)?.message.contains("toml") != true)
        }
    }
}
