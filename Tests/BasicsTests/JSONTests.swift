import Testing

@testable import Basics

@Suite struct JSONTests {
    private static let values: [(JSON, String)] = [
        (.null, "null"), (.boolean(true), "true"), (.integer(-5), "-5"), (.unsigned(.max), "18446744073709551615"),
        (.number(0.5), "0.5"), (.number(.nan), "null"), (.number(.infinity), "null"), (.number(1e300), "1e+300"),
        (.array([.integer(1), .string("a"), .null]), #"[1,"a",null]"#), (.array([]), "[]"), (.object([]), "{}"),
        (["b": 1, "a": ["c": .boolean(false)]], #"{"b":1,"a":{"c":false}}"#),
        (.string("\"\\\n\t\u{0}"), #""\"\\\n\t\u0000""#), (.string("办"), "\"办\""),
        // What terminals obey, or turns text around.
        (.string("\u{1B}\u{9B}\u{202E}\u{2028}"), #""\u001b\u009b\u202e\u2028""#),
        // Beyond the first plane: a pair of surrogates.
        (.string("\u{E0001}"), #""\udb40\udc01""#),
        (["\u{7}": 1], #"{"\u0007":1}"#),
    ]

    @Test(arguments: Self.values)
    func `values are written on one line, members in their order`(value: JSON, text: String) {
        #expect(value.text == text)
    }

    @Test func `what there is not is null`() {
        #expect(JSON(nil as String?) == .null)
        #expect(JSON(nil as UInt64?) == .null)
        #expect(JSON(3 as Int?) == 3)
        #expect((["a": 1] as JSON)["a"] == 1)
        #expect((["a": 1] as JSON)["b"] == nil)
        #expect(JSON.array([])["a"] == nil)
    }
}

@Suite struct Base64Tests {
    /// RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"), ("\u{0}\u{FF}\u{3FF}", "AMO/z78="),
    ])
    func `bytes are written and read`(plain: String, encoded: String) {
        #expect(Base64.text(of: Array(plain.utf8)) == encoded)
        #expect(Base64.bytes(of: encoded) == Array(plain.utf8))
        #expect(Base64.bytes(of: encoded.filter { $0 != "=" }) == Array(plain.utf8))
    }

    @Test(arguments: ["Z", "Zg=", "Zm9v=", "Zg===", "Z g=", "Zm9v\n", "Zm-_", "====", "=", "Zg==Zg=="])
    func `what is no base64 is none`(text: String) {
        #expect(Base64.bytes(of: text) == nil)
    }
}
