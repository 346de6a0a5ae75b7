import ArgumentParser
import Testing

@testable import CommandSupport

private struct Example: ProgramCommand {
    static let configuration = CommandConfiguration(commandName: "rtun-example")
    static let example = "rtun-example https://rtun.example.com"
    static let roleWords = ["agent"]
    var eventLoopCount: Int { 1 }

    @Argument var url: String
    @Option(name: .customLong("max-things")) var things = 1
    @Option(name: .customLong("secret")) var secret: String?
    @Option(name: .customShort("L")) var rules: [String] = []
    @Flag(name: .customLong("list")) var list = false
    @OptionGroup var logging: LoggingOptions

    func checkConfiguration() {}

    func run() async throws {}
}

@Suite struct CommandLineCheckTests {
    private func check(_ words: [String]) throws {
        try CommandLineCheck.check(words, of: Example.self)
        try CommandLineCheck.checkOptions(words, try CommandSyntax(of: Example.self))
    }

    @Test(
        arguments: [
            ["https://x"], ["--secret=abc=", "https://x"], ["--secret", "abc==", "u"], ["--max-things", "-1", "u"],
            ["-L", "a?to=b", "u"], ["-La?to=b", "u"], ["--list", "--", "--odd="], ["--help"], ["--version"], [],
        ])
    func `valid words pass`(words: [String]) throws {
        try self.check(words)
    }

    @Test(
        arguments: [
            (["--secret=", "u"], "the value of --secret is empty"),
            (["--secret", "", "u"], "the value of --secret is empty"),
            (["u", ""], "an argument is empty"), (["--secret=x", ""], "an argument is empty"),
            (["agent", "u"], "leave out \"agent\""), (["socks", "u"], "there is no rtun-example socks"),
            (["u", "--max-thing", "2"], "there is no option --max-thing; did you mean --max-things?"),
            (["u", "-l", "x"], "there is no option -l"),
            (["-list", "u"], "there is no option -list; did you mean --list?"),
            (["--secrte=hush", "u"], "there is no option --secrte; did you mean --secret?"),
        ])
    func `an invalid word is named, and a secret value never shown`(words: [String], message: String) {
        let error = #expect(throws: ProgramError.self) { try self.check(words) }
        #expect(error?.status == .usage)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("hush") != true)
    }

    @Test func `values that look like options are joined to theirs`() throws {
        let syntax = try CommandSyntax(of: Example.self)
        func joined(_ words: [String]) -> [String]? { CommandLineCheck.joiningValues(words, syntax) }
        #expect(joined(["--max-things", "-1", "u"]) == ["--max-things=-1", "u"])
        #expect(joined(["--max-things", "-5m"]) == ["--max-things=-5m"])
        #expect(joined(["-L127.0.0.1:0?to=x", "u"]) == ["-L", "127.0.0.1:0?to=x", "u"])
        #expect(joined(["--list", "-1"]) == nil)
        #expect(joined(["u", "--", "--max-things", "-1"]) == nil)
    }
}
