import Testing

@testable import CommandSupport

@Suite struct TextWidthTests {
    @Test(arguments: [
        ("", 0), ("office", 6), ("日本", 4), ("ｱ", 1), ("Ａ", 2), ("e\u{301}", 1), ("한글", 4), ("💡", 2), ("a\u{200B}b", 2),
        ("\u{1F468}\u{200D}\u{1F469}", 2), ("Büro", 4), ("Ελλάδα", 6),
    ])
    func `a text is as wide as its characters together`(text: String, columns: Int) {
        #expect(TextWidth.columns(of: text) == columns)
    }
}
