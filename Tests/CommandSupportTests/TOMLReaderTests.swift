import Testing

@testable import CommandSupport

@Suite struct TOMLReaderTests {
    private func document(_ text: String) throws -> TOMLTable {
        try TOMLReader.document(in: Array(text.utf8))
    }

    @Test func `tables, keys and values are read in their order, with their lines`() throws {
        let text = """
            # all of it
            [rtun-agent]   # a comment
            url = "https://rtun.example.com:8888"
            "agent" = 'C:\\no\\escapes'
            expire_in = 0.05
            max-peers = 1_000
            https-insecure = true
            label = ["a=1", 'b=2', # why
               "c=\\u00e9\\t\\"",
            ]
            empty = []

            [ rtun-socks ]\r
            listen = "[::1]:0"\r

            """
        let document = try self.document(text)
        #expect(document.entries.map(\.key) == ["rtun-agent", "rtun-socks"])
        #expect(document.entries.map(\.line) == [2, 13])
        guard case .table(let agent) = document.entries[0].value, case .table(let socks) = document.entries[1].value
        else {
            Issue.record("no tables")
            return
        }
        #expect(
            agent.entries.map(\.key) == [
                "url", "agent", "expire_in", "max-peers", "https-insecure", "label", "empty",
            ])
        #expect(
            agent.entries.map(\.value) == [
                .string("https://rtun.example.com:8888"), .string("C:\\no\\escapes"), .float(0.05), .integer(1000),
                .boolean(true),
                .array([
                    TOMLElement(value: .string("a=1"), line: 8), TOMLElement(value: .string("b=2"), line: 8),
                    TOMLElement(value: .string("c=é\t\""), line: 9),
                ]), .array([]),
            ])
        #expect(socks.entries == [TOMLEntry(key: "listen", value: .string("[::1]:0"), line: 14)])
    }

    @Test(arguments: [
        ("[a]\nkey", 2, "expected = after key"),
        ("[a]\nkey = # x", 2, "expected a value; text needs quotes"),
        ("[a]\nkey = word", 2, "that is not a value; text needs quotes"),
        ("[a]\nkey = 10s", 2, "not a value"),
        ("[a]\nkey = 127.0.0.1:1", 2, "not a value"),
        ("[a]\nkey = 9223372036854775808", 2, "too large"),
        ("[a]\nkey = 2026-02-29", 2, "not a value"),
        ("[a]\nkey = \"open", 2, "not closed with \""),
        ("[a]\nkey = 'open\n'", 2, "not closed with '"),
        ("[a]\nkey = \"\"\"\n\nopen\"\"\n\n", 2, "not closed with \"\"\""),
        ("[a]\nkey = \"\\x\"", 2, "unknown escape"),
        ("[a]\nkey = \"\\u12\"", 2, "4 hexadecimal digits"),
        ("[a]\nkey = \"\\ud800\"", 2, "not that of a character"),
        ("[a]\nkey = \"\"\"a\\ b\"\"\"", 2, "only a backslash at the end of its line"),
        ("[a]\nkey = \"a\u{1}b\"", 2, "control characters"),
        ("[a] # \u{7F}", 1, "control characters"),
        ("[a]\nk = 1\nk = 2", 3, "k is defined twice"),
        ("[a]\n[b]\n[a]", 3, "the table a is defined twice"),
        ("a.b = 1\na.b.c = 2", 2, "b is already defined"),
        ("a = {b = 1}\na.c = 2", 2, "a is already defined"),
        ("a = {b = 1}\n[a.c]", 2, "a is already a value"),
        ("[[a]]\n[a]", 2, "write [[a]]"),
        ("[a]\n[[a]]", 2, "twice"),
        ("a = []\n[[a]]", 2, "a is already a value"),
        ("[a]\nk = 1 2", 2, "expected the end of the line, not \"2\""),
        ("[a]\nk = [1, 2", 2, "expected , or ]"),
        ("[a]\nk = [1\n2]", 3, "expected , or ] in the array, not \"2\""),
        ("[a]\nk = {a = 1, }", 2, "must not have a comma"),
        ("[a]\nk = {a = 1\n}", 2, "expected , or }"),
        ("[a]\n= 1", 2, "expected a key, not \"=\""),
        ("\u{3BC} = 1", 1, "keys with anything but ASCII letters"),
        ("[a\n]", 1, "expected ] after"),
        ("[[a]", 1, "expected ]] after"),
        ("[", 1, "expected a key"),
        ("\n\n[", 3, "expected a key"),
        ("a = 1\rb = 2", 1, "not a carriage return without a line feed"),
    ])
    func `a mistake is named with its line`(text: String, line: Int, words: String) {
        let error = #expect(throws: TOMLError.self) { try self.document(text) }
        #expect(error?.line == line)
        #expect(error?.problem.contains(words) == true, "\(error?.problem ?? "")")
    }

    @Test(arguments: [
        "a = " + String(repeating: "[", count: 500_000),
        "a = " + String(repeating: "{a = ", count: 200_000),
        "a" + String(repeating: ".a", count: 500_000) + " = 1",
        "[a" + String(repeating: ". a", count: 300_000) + "]",
        "[[" + String(repeating: "\"=#\" . '\"' . ", count: 100_000) + "a]]",
        "x = {" + String(repeating: "a.", count: 400_000) + "a = 1}",
        "k = \"\"\"" + String(repeating: "\"\n", count: 10) + "\"\"\"\"\"\na" + String(repeating: ".a", count: 99_999),
    ])
    func `nesting and the parts of a key have a limit`(text: String) {
        let error = #expect(throws: TOMLError.self) { try self.document(text) }
        #expect(
            error?.problem.contains("may have at most") == true
                || error?.problem.contains("nested in each other") == true,
            "\(error?.problem ?? "")")
    }

    @Test func `dots outside of a key do not count as its parts`() throws {
        let dots = String(repeating: ".", count: 100)
        let floats = (0..<100).map { "\($0).5" }.joined(separator: ", ")
        let text = """
            a = "\(dots)" # \(dots)
            b = '\(dots)'
            c = ""\"\(dots)"\(dots)\\""\"\(dots)""\"
            d = '''\(dots)''\(dots)
            \(dots)'''
            e = [\(floats)]
            f."\(dots)".g = 1
            """
        #expect(try self.document(text).entries.map(\.line) == [1, 2, 3, 4, 6, 7])
    }

    @Test func `bytes that are not UTF-8 are named with their line`() {
        let bytes = Array("a = 1\n# \u{FC}\n".utf8) + [0xC3, 0x28] + Array("\nb = 2".utf8)
        #expect(throws: TOMLError(line: 3, problem: "not UTF-8 text")) { try TOMLReader.document(in: bytes) }
    }

    @Test(
        arguments: [
            ("0", .integer(0)), ("-0", .integer(0)), ("+99", .integer(99)), ("0xDEAD_beef", .integer(0xDEAD_BEEF)),
            ("0o755", .integer(0o755)), ("0b1101", .integer(13)), ("-9223372036854775808", .integer(.min)),
            ("1e06", .float(1e6)), ("-2E-2", .float(-0.02)), ("9_224.5_1", .float(9224.51)),
            ("-inf", .float(-.infinity)),
            ("00", nil), ("0x", nil), ("0X1", nil), ("+0x1", nil), ("1_", nil), ("_1", nil), ("1__0", nil), ("1.", nil),
            (".5", nil), ("1.e5", nil), ("1.5e", nil), ("01.5", nil), ("Inf", nil), ("True", nil), ("1.5.6", nil),
            ("1_.5", nil), ("++1", nil), ("0b2", nil), ("1e5.5", nil), ("\u{663}", nil),
            ("2000-02-29", .time(.date, "2000-02-29")), ("1900-02-29", nil), ("2026-11-31", nil), ("2026-1-1", nil),
            ("07:32:00", .time(.time, "07:32:00")), ("07:32:00.999999", .time(.time, "07:32:00.999999")),
            ("24:00:00", nil), ("07:60:00", nil), ("07:32", nil), ("07:32:00.", nil),
            ("2026-11-30t07:32:00z", .time(.offsetDateTime, "2026-11-30T07:32:00Z")),
            ("2026-11-30 07:32:00", .time(.dateTime, "2026-11-30T07:32:00")),
            ("2026-11-30T07:32:00.5-07:00", .time(.offsetDateTime, "2026-11-30T07:32:00.5-07:00")),
            ("2026-11-30T07:32:00+24:00", nil), ("2026-11-30T07:32:00+0700", nil), ("2026-11-30T", nil),
            ("2026-11-30 07:32:00Z+", nil),
        ] as [(String, TOMLValue?)])
    func `numbers and times are accepted as TOML defines them, and no others`(word: String, value: TOMLValue?) {
        #expect((try? self.document("k = \(word)"))?.entries.first?.value == value)
    }

    @Test(arguments: [
        ("\"\"\"\na\r\n\\   \n  b\\\"\"\"\"\"\"", "a\r\nb\"\"\""), ("'''\n'a'''''", "'a''"), ("''''''", ""),
        ("\"\"", ""),
        ("'''a\\u0041'''", "a\\u0041"), ("\"\\U0001F600\\b\\f\"", "\u{1F600}\u{8}\u{C}"),
    ])
    func `all kinds of strings are read`(text: String, value: String) throws {
        #expect(try self.document("k = \(text)").entries.first?.value == .string(value))
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            (0..<60_000).map { "k\($0) = 1\n" }.joined(), (0..<60_000).map { "[t\($0)]\n" }.joined(),
            String(repeating: "[[a]]\n", count: 150_000), "a = [" + String(repeating: "1,", count: 500_000) + "]",
            "a = \"" + String(repeating: "x", count: 1_000_000) + "\"",
        ])
    func `a large text is read`(text: String) throws {
        #expect(try !self.document(text).entries.isEmpty)
    }

    @Test func `random and cut text never traps`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("[]\"'\\=#,.{}ab1-_u \n\t\r\u{0}é")
        for _ in 0..<3000 {
            let text = String(
                (0..<Int.random(in: 0...40, using: &generator)).compactMap { _ in
                    alphabet.randomElement(using: &generator)
                })
            _ = try? self.document(text)
        }
        let whole = "[a]\nk = [\"x\\u00e9\", 'y', 1.5, true, 2026-11-30T10:00:00.5Z] # end\n[[b.c]]\nd = {e.f = 1}\n"
        for end in whole.indices {
            _ = try? self.document(String(whole[..<end]))
        }
    }
}
