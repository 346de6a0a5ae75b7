import Basics
import Testing

@Suite struct Base64Tests {
    /// RFC 4648 §10, without padding.
    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ])
    func `the vectors of the RFC`(bytes: String, text: String) {
        #expect(Base64.text(Array(bytes.utf8)) == text)
        #expect(Base64.bytes(Array(text.utf8)[...]) == Array(bytes.utf8))
        let padded = text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        #expect(Base64.bytes(Array(padded.utf8)[...]) == Array(bytes.utf8))
    }

    @Test(arguments: ["Z", "Zg=", "Zg===", "Zm9v=", "Zg ", "Z-8_", "=", "====", "Zm9vY"])
    func `what is none is refused`(text: String) {
        #expect(Base64.bytes(Array(text.utf8)[...]) == nil)
    }

    @Test func `every byte comes back`() {
        for count in 0..<40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ 251) }
            #expect(Base64.bytes(Array(Base64.text(bytes).utf8)[...]) == bytes)
        }
    }
}
