import Testing

@testable import CommandSupport

@Suite struct TOMLReaderTests {
    @Test func `tables, keys and values are read`() throws {
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
        let tables = try TOMLReader.tables(in: text)
        #expect(tables.map(\.name) == ["rtun-agent", "rtun-socks"])
        #expect(
            tables[0].entries.map(\.key) == [
                "url", "agent", "expire_in", "max-peers", "https-insecure", "label", "empty",
            ])
        #expect(
            tables[0].entries.map(\.value) == [
                .string("https://rtun.example.com:8888"), .string("C:\\no\\escapes"), .number("0.05"), .number("1000"),
                .boolean(true), .array([.string("a=1"), .string("b=2"), .string("c=é\t\"")]), .array([]),
            ])
        #expect(tables[1].entries == [TOMLEntry(key: "listen", value: .string("[::1]:0"), line: 14)])
    }

    @Test(arguments: [
        ("key = 1", 1, "front of the first"),
        ("[a]\nkey", 2, "expected = after"),
        ("[a]\nkey =", 2, "expected a value"),
        ("[a]\nkey = word", 2, "needs quotes"),
        ("[a]\nkey = 2026-11-23", 2, "needs quotes"),
        ("[a]\nkey = \"open", 2, "not closed"),
        ("[a]\nkey = \"\"\"x\"\"\"", 2, "multi-line"),
        ("[a]\nkey = \"\\x\"", 2, "unknown escape"),
        ("[a]\nkey = \"\\u12\"", 2, "hex digits"),
        ("[a]\nkey = \"\\ud800\"", 2, "hex digits"),
        ("[a]\nkey = {x = 1}", 2, "inline tables"),
        ("[a]\na.b = 1", 2, "dotted"),
        ("[a.b]", 1, "nested tables"),
        ("[[a]]", 1, "arrays of tables"),
        ("[a]\nk = 1\nk = 2", 3, "twice"),
        ("[a]\n[b]\n[a]", 3, "twice"),
        ("[a]\nk = 1 2", 2, "unexpected"),
        ("[a]\nk = [1, 2", 2, "expected , or ]"),
        ("[a]\nk = [[[[[[[[[1]]]]]]]]]", 2, "too deeply"),
        ("[a]\n= 1", 2, "expected a key"),
        ("[", 1, "expected a key"),
    ])
    func `what cannot be read is named with its line`(text: String, line: Int, words: String) {
        let error = #expect(throws: TOMLError.self) { try TOMLReader.tables(in: text) }
        #expect(error?.line == line)
        #expect(error?.problem.contains(words) == true, "\(error?.problem ?? "")")
    }

    @Test func `random and cut text never traps`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("[]\"'\\=#,.{}ab1-_u \n\t\r\u{0}é")
        for _ in 0..<3000 {
            let text = String(
                (0..<Int.random(in: 0...40, using: &generator)).compactMap { _ in
                    alphabet.randomElement(using: &generator)
                })
            _ = try? TOMLReader.tables(in: text)
        }
        let whole = "[a]\nk = [\"x\\u00e9\", 'y', 1.5, true] # end\n"
        for end in whole.indices {
            _ = try? TOMLReader.tables(in: String(whole[..<end]))
        }
    }
}
