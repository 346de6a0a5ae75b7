import ArgumentParser
import Testing

@testable import CommandSupport

@Suite struct JSONValueTests {
    @Test(arguments: [
        ("null", JSONValue.null), (" true ", .boolean(true)), ("-1.5e3", .number("-1.5e3")), ("\"\"", .string("")),
        (#""a\"\\\/\b\f\n\r\t""#, .string("a\"\\/\u{8}\u{C}\n\r\t")),
        (#""\u00e4\ud83d\ude00ä""#, .string("ä😀ä")), ("[]", .array([])),
        ("[1, [2]]", .array([.number("1"), .array([.number("2")])])),
        ("{}", .object([:])),
        (#"{ "a" : {"b":[null]}, "c":1 }"#, .object(["a": .object(["b": .array([.null])]), "c": .number("1")])),
    ])
    func `values are read`(text: String, value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test(arguments: [
        "", "nul", "1x", "nan", "0x10", "\"", "\"\n\"", #""\x""#, #""\ud800""#, #""\u12""#, #""\u+123""#, "[1,]", "[1",
        "{\"a\"}",
        "{1:2}", "{\"a\":1,}", "1 2", "[1}", String(repeating: "[", count: 100_000),
    ])
    func `invalid JSON is refused`(text: String) {
        #expect(throws: JSONValue.SyntaxError.self) { try JSONValue(parsing: text) }
    }

    @Test func `members are found by name`() throws {
        let value = try JSONValue(parsing: #"{"a":{"b":"c","d":null,"e":[true]}}"#)
        #expect(value["a"]?["b"]?.string == "c")
        #expect(value["a"]?["d"] == nil)
        #expect(value["a"]?["e"]?.array?.first?.boolean == true)
        #expect(value["x"] == nil && value.string == nil && value["a"]?["b"]?["c"] == nil)
    }

    private struct Example: ParsableCommand {
        @Option(name: [.customShort("L"), .long], help: "With \"quotes\", and a line\nbreak.") var listen: [String] = []
        @Flag var fast = false
        @Argument var url: String
    }

    @Test func `a command's syntax is what it declares`() throws {
        let syntax = try CommandSyntax(of: Example.self)
        #expect(syntax.argument(named: "L") == .init(kind: .option, names: ["L", "listen"], isRepeating: true))
        #expect(syntax.argument(named: "fast") == .init(kind: .flag, names: ["fast"], isRepeating: false))
        #expect(syntax.argument(named: "url") == .init(kind: .positional, names: ["url"], isRepeating: false))
    }
}
