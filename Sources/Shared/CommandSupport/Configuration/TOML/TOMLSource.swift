/// A TOML document's bytes, read from front to back.
struct TOMLSource {
    private let bytes: [UInt8]
    private var position = 0
    /// Of the next byte, counted from 1.
    private(set) var line = 1

    /// `bytes` must be UTF-8.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The next byte; nil at the end.
    var next: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    /// The byte `distance` behind the next one.
    func byte(behind distance: Int) -> UInt8? {
        self.position + distance < self.bytes.count ? self.bytes[self.position + distance] : nil
    }

    /// Goes on by `count` bytes, which must be there.
    mutating func skip(_ count: Int) {
        for _ in 0..<count {
            if self.bytes[self.position] == UInt8(ascii: "\n") { self.line += 1 }
            self.position += 1
        }
    }

    /// Takes the next byte if it is that one.
    mutating func take(_ byte: UInt8) -> Bool {
        guard self.next == byte else { return false }
        self.skip(1)
        return true
    }

    /// Takes three quotation marks if they are next.
    mutating func takeThree(_ mark: UInt8) -> Bool {
        guard (0..<3).allSatisfy({ self.byte(behind: $0) == mark }) else { return false }
        self.skip(3)
        return true
    }

    mutating func takeWhile(_ condition: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        let start = self.position
        while let byte = self.next, condition(byte) { self.skip(1) }
        return self.bytes[start..<self.position]
    }

    mutating func skipBlanks() {
        while self.next == UInt8(ascii: " ") || self.next == UInt8(ascii: "\t") { self.position += 1 }
    }

    /// Takes the end of a line, if that is next: LF or CRLF.
    mutating func takeNewline() -> Bool {
        if self.take(UInt8(ascii: "\n")) { return true }
        guard self.next == UInt8(ascii: "\r"), self.byte(behind: 1) == UInt8(ascii: "\n") else { return false }
        self.skip(2)
        return true
    }

    /// Takes a comment, if there is one, up to the end of the line.
    mutating func takeComment() throws(TOMLError) {
        guard self.next == UInt8(ascii: "#") else { return }
        while let byte = self.next, byte != UInt8(ascii: "\n") {
            if byte == UInt8(ascii: "\r"), self.byte(behind: 1) == UInt8(ascii: "\n") { return }
            guard !Self.isControl(byte) else { throw self.error("a comment must not contain control characters") }
            self.position += 1
        }
    }

    /// Takes blanks, a comment and the end of the line, or of the document.
    mutating func endLine() throws(TOMLError) {
        self.skipBlanks()
        try self.takeComment()
        guard self.next == nil || self.takeNewline() else {
            throw self.error("expected the end of the line\(self.saw)")
        }
    }

    /// Takes blanks, comments and ends of lines.
    mutating func skipLines() throws(TOMLError) {
        repeat {
            self.skipBlanks()
            try self.takeComment()
        } while self.takeNewline()
    }

    /// Whether `byte` is a control character other than a tab (TOML 1.0, "Comment").
    static func isControl(_ byte: UInt8) -> Bool {
        byte < 0x20 && byte != UInt8(ascii: "\t") || byte == 0x7F
    }

    /// ", not x": what is next, for the end of a message; nothing at the end of the document.
    var saw: String {
        guard let next = self.next else { return ", not the end of the file" }
        if next == UInt8(ascii: "\r"), self.byte(behind: 1) != UInt8(ascii: "\n") {
            return ", not a carriage return without a line feed"
        }
        if next == UInt8(ascii: "\n") || next == UInt8(ascii: "\r") { return ", not the end of the line" }
        guard !Self.isControl(next) else { return "" }
        let text = String(decoding: self.bytes[self.position...].prefix(4), as: UTF8.self)
        return text.first.map { ", not \"\($0)\"" } ?? ""
    }

    /// An error in the line of the next byte.
    func error(_ problem: String) -> TOMLError { TOMLError(line: self.line, problem: problem) }
}
