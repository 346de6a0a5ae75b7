import Basics
import Testing

@Suite struct IncludesTests {
    @Test(arguments: [
        ("https://host", "://", true), ("a:/b", "://", false), ("::://", "://", true), ("", "a", false),
        ("a", "", true),
        ("", "", true), ("aab", "ab", true), ("äö", "ö", true), ("ab", "abc", false),
    ])
    func `a string is found anywhere in another one`(text: String, part: String, isFound: Bool) {
        #expect(text.includes(part) == isFound)
        #expect(text.place(of: part).map { String(text[$0]) } == (isFound ? part : nil))
        #expect("x\(text)".dropFirst().includes(part) == isFound)
    }
}
