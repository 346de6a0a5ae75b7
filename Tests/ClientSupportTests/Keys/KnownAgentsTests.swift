import Basics
import Testing

@testable import ClientSupport

/// A key made of one byte, for tests.
func testFingerprint(_ byte: UInt8) -> CertificateFingerprint {
    guard let key = CertificateFingerprint(bytes: [UInt8](repeating: byte, count: 32)) else {
        preconditionFailure("32 bytes are a fingerprint")
    }
    return key
}

@Suite struct `the file of known agents` {
    private let one = testFingerprint(1)
    private let two = testFingerprint(2)

    private func parse(_ text: String) throws -> KnownAgents { try KnownAgents(parsing: Array(text.utf8)) }

    @Test func `says of each name which keys it may show`() throws {
        let known = try self.parse(
            "\u{FEFF}# those of the office\r\n\r\n  office \(self.one)  since the move, allow=nothing\r\noffice\t\(self.two)\r\n"
                + "my  home \(self.two) # a name with a blank")
        #expect(known.names == ["office", "my home"])
        #expect(known.standing(of: "office", showing: self.one) == .known)
        #expect(known.standing(of: "office", showing: self.two) == .known)
        #expect(
            known.standing(of: "office", showing: testFingerprint(3))
                == .changed([.init(key: self.one, line: 3), .init(key: self.two, line: 4)]))
        #expect(known.standing(of: "my home", showing: self.two) == .known)
        #expect(known.standing(of: "Office", showing: self.one) == .unknown)
        #expect(known.standing(of: "other", showing: self.one) == .unknown)
        #expect(try self.parse("").names.isEmpty)
    }

    @Test(arguments: [
        ("office", 1, "a key is missing"),
        ("# a\noffice SHA256:AAAA", 2, "has 4 characters"),
        ("office \(testFingerprint(1))=", 1, "padded"),
        ("office sha256:\(testFingerprint(1).description.dropFirst(7))", 1, "capital letters"),
        ("office " + Array(repeating: "01", count: 32).joined(separator: ":"), 1, "write \(testFingerprint(1))"),
        ("\(testFingerprint(1))", 1, "a key is missing"),
        (String(repeating: "n", count: 256) + " \(testFingerprint(1))", 1, "1 to 255 bytes"),
    ])
    func `a line that cannot be used is named, with what is wrong`(text: String, line: Int, words: String) throws {
        let error = try #require(throws: KeyLineError.self) { try self.parse(text) }
        #expect(error.line == line)
        #expect(error.problem.contains(words), "\(error)")
    }

    @Test(arguments: [
        ("", "office KEY c\n"),
        ("home KEY", "home KEY\noffice KEY c\n"),
        ("home KEY\r\n", "home KEY\r\noffice KEY c\r\n"),
        ("# nobody\n", "# nobody\noffice KEY c\n"),
    ])
    func `a line is added as the others are written`(before: String, after: String) throws {
        let key = "\(self.one)"
        let before = Array(before.replacing("KEY", with: key).utf8)
        let added = try #require(KnownAgents.adding("office", self.one, comment: "c", to: before))
        #expect(String(decoding: added.contents, as: UTF8.self) == after.replacing("KEY", with: key))
        #expect(added.known.standing(of: "office", showing: self.one) == .known)
    }

    @Test(arguments: ["#1", "a #b", "x SHA256:y", " ", "\u{202E}x"])
    func `a name that no line can have is not added under another one`(name: String) {
        #expect(KnownAgents.adding(name, self.one, comment: "c", to: []) == nil)
    }

    @Test func `names are the same whatever blanks are between their words`() throws {
        let added = try #require(KnownAgents.adding("my \u{A0} office ", self.one, comment: "c", to: []))
        #expect(added.known.standing(of: "my office", showing: self.one) == .known)
        #expect(added.known.standing(of: "my \u{A0} office ", showing: self.two) != .unknown)
    }

    @Test func `nothing is added to a file that is full`() {
        let full = [UInt8](repeating: UInt8(ascii: "\n"), count: KeyLines.byteLimit - 20)
        #expect(KnownAgents.adding("office", self.one, comment: "c", to: full) == nil)
    }
}
