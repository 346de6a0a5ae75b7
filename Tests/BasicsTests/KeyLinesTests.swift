import Basics
import Testing

@Suite struct `Files about keys` {
    private static let key = "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    private static let bytes = [UInt8](0..<32)

    private static func words(_ text: String) throws -> [[String]] {
        try KeyLines(parsing: Array(text.utf8)).lines.map(\.words)
    }

    @Test(arguments: [
        ("", []),
        ("\n\n \t\n", []),
        ("# all\n   # of it\n#", []),
        ("a b c", [["a", "b", "c"]]),
        ("a b\n", [["a", "b"]]),
        ("\u{FEFF}a b\r\n\r\nc\r\n", [["a", "b"], ["c"]]),
        ("  a\tb  \n", [["a", "b"]]),
        ("a\u{A0}b\u{3000}c", [["a", "b", "c"]]),
        ("a # b\nc #\nd#e f", [["a"], ["c"], ["d#e", "f"]]),
        ("a # \u{202E}b\u{0}", [["a"]]),
        ("bürö 家", [["bürö", "家"]]),
    ])
    func `a line is its words`(text: String, words: [[String]]) throws {
        #expect(try Self.words(text) == words)
    }

    @Test func `lines keep their numbers`() throws {
        #expect(try KeyLines(parsing: Array("# one\n\na\r\n\nb".utf8)).lines.map(\.number) == [3, 5])
    }

    @Test(arguments: [
        (Array("a\nb\u{200B}c\n".utf8), "line 2: it holds the character U+200B, which is not seen; remove it"),
        (Array("a\rb".utf8), "line 1: it holds the character U+000D, which is not seen; remove it"),
        (Array("a\0".utf8), "line 1: it holds the character U+0000, which is not seen; remove it"),
        (Array("a\n\n".utf8) + [0x62, 0xFF], "line 3: it is no UTF-8"),
        ([0xFF, 0xFE, 0x61, 0], "it is UTF-16; save it as UTF-8"),
        (Array(String(repeating: "a\n", count: 10_001).utf8), "it has more than 10000 rules"),
    ])
    func `what no line can be read from is refused`(contents: [UInt8], problem: String) {
        let error = #expect(throws: KeyLineError.self) { try KeyLines(parsing: contents) }
        #expect(error?.description == problem)
    }

    @Test func `as many rules as there may be, and many lines without any, are read`() throws {
        let contents = Array(String(repeating: "a\n# b\n\n", count: KeyLines.lineLimit).utf8)
        #expect(try KeyLines(parsing: contents).lines.count == KeyLines.lineLimit)
    }

    private static func line(_ text: String) throws -> KeyLines.Line {
        try #require(try KeyLines(parsing: Array(text.utf8)).lines.first)
    }

    @Test func `a key is what programs print`() throws {
        #expect(try Self.line("office \(Self.key) laptop").fingerprint(at: 1).bytes == Self.bytes)
    }

    @Test(arguments: [
        ("", "a key is missing: SHA256: and 43 characters, see --print-identity"),
        ("laptop", "'laptop' is no key, which is SHA256: and 43 characters, see --print-identity"),
        (Self.key + "=", "the key is padded with =; write \(Self.key)"),
        (
            String(Self.key.dropLast()),
            "the key has 42 characters behind SHA256:, and has to have 43; it may have been cut off"
        ),
        (Self.key + "A", "the key has 44 characters behind SHA256:, and has to have 43"),
        ("SHA256:", "the key has 0 characters behind SHA256:, and has to have 43; it may have been cut off"),
        (
            Self.key.replacing("Q", with: "!"),
            "'!' cannot be in a key, which is SHA256: and 43 letters, digits, + and /"
        ),
        (Self.key.replacing("SHA", with: "sha"), "a key begins with SHA256: in capital letters"),
        (
            "SHA256:__________________________________________8",
            "the key is in the alphabet of Base64 for URLs; write SHA256://////////////////////////////////////////8"
        ),
        (Hex.text(Self.bytes), "the key is in hexadecimal digits, as openssl prints it; write \(Self.key)"),
        (
            Hex.text(Self.bytes, separator: ":").uppercased(),
            "the key is in hexadecimal digits, as openssl prints it; write \(Self.key)"
        ),
        (
            "sha256:" + Hex.text(Self.bytes),
            "the key is in hexadecimal digits, as openssl prints it; write \(Self.key)"
        ),
        (
            String(repeating: "x", count: 100),
            "'\(String(repeating: "x", count: 60))…' is no key, which is SHA256: and 43 characters, see --print-identity"
        ),
    ])
    func `what is no key says what would be`(word: String, problem: String) throws {
        let line = try Self.line("\n\noffice \(word)")
        let error = #expect(throws: KeyLineError.self) { try line.fingerprint(at: 1) }
        #expect(error == KeyLineError(line: 3, problem))
    }

    @Test(arguments: [
        ("k", []),
        ("k laptop of Kim", []),
        ("k allow=10.0.0.0/8:443 max-streams=4", ["allow→10.0.0.0/8:443", "max-streams→4"]),
        ("k allow=a=b allow= laptop x=y", ["allow→a=b", "allow→"]),
        ("k max-streams=4 # allow=no", ["max-streams→4"]),
        ("k 2+2=4", []),
        ("k laptop to allow all", []),
    ])
    func `options stand between a key and a comment`(text: String, options: [String]) throws {
        let read = try Self.line(text).options(from: 1, known: ["allow", "max-streams"])
        #expect(read.map { "\($0.name)→\($0.value)" } == options)
    }

    private static func misspelt(_ word: String) -> String {
        let name = "allow"
        return
            "'\(word)' is not how an option is written: \(name)= and its value, without blanks (a comment that begins like "
            + "this begins with #)"
    }

    @Test(arguments: [
        (
            "k alow=10.0.0.0/8", ["allow", "deny"],
            "alow= is unknown here; there is allow=, deny= (a comment like this begins with #)"
        ),
        ("k laptop allow=x", ["allow"], "allow= stands behind a comment; put it right behind the key"),
        ("k allow = x", ["allow"], Self.misspelt("allow")),
        ("k allow x", ["allow", "deny"], Self.misspelt("allow")),
        ("k allow: x", ["allow"], Self.misspelt("allow:")),
        ("k =x", ["allow"], Self.misspelt("=x")),
        ("k laptop allow:x", ["allow"], Self.misspelt("allow:x")),
        ("k laptop Allow=x", ["allow"], Self.misspelt("Allow=x")),
        ("k agents=x", [], "agents= is unknown here; there are no options (a comment like this begins with #)"),
    ])
    func `an option that would be lost is refused`(text: String, known: [String], problem: String) throws {
        let line = try Self.line(text)
        let error = #expect(throws: KeyLineError.self) { try line.options(from: 1, known: known) }
        #expect(error == KeyLineError(line: 1, problem))
    }
}
