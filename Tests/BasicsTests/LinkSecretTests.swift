import Testing

@testable import Basics

@Suite struct LinkSecretTests {
    @Test(arguments: [
        ("rtun://h:1/?a=b#secret", "rtun://h:1/?a=b#***"),
        ("Unexpected argument 'RTUN://h#s%20' and more", "Unexpected argument 'RTUN://h#***' and more"),
        ("rtun://a#1 rtun://b#2\n", "rtun://a#*** rtun://b#***\n"),
        ("rtun://h:1/?a=b", "rtun://h:1/?a=b"), ("rtun://h#", "rtun://h#"), ("https://h#x", "https://h#x"),
        ("rtun:/", "rtun:/"),
        ("é rtun://h#é", "é rtun://h#***"),
    ])
    func `the secret of a link is masked, and nothing else`(text: String, shown: String) {
        #expect(LinkSecret.masked(in: text) == shown)
    }

    // RFC 4648 §10, in the alphabet of §5 and without padding.
    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
        ("\u{FB}\u{FF}", "w7vDvw"),
    ])
    func `base64url is that of the RFC`(text: String, encoded: String) {
        #expect(Base64URL.text(Array(text.utf8)) == encoded)
        #expect(Base64URL.bytes(encoded) == Array(text.utf8))
    }

    @Test func `the other alphabet and padding are read as well`() {
        #expect(Base64URL.text([0xFB, 0xFF]) == "-_8")
        #expect(Base64URL.bytes("+/8=") == [0xFB, 0xFF])
        for wrong in ["A", "AB", "A B", "AA=A", "Zm9vY", "Zh"] { #expect(Base64URL.bytes(wrong) == nil, "\(wrong)") }
    }
}
