/// The four kinds of strings.
enum TOMLText {
    private static let quote = UInt8(ascii: "\"")
    private static let apostrophe = UInt8(ascii: "'")
    private static let backslash = UInt8(ascii: "\\")

    /// A string of any kind, as UTF-8. The next byte must be a quotation mark.
    static func read(_ source: inout TOMLSource) throws(TOMLError) -> [UInt8] {
        let isBasic = source.next == Self.quote
        if source.takeThree(isBasic ? Self.quote : Self.apostrophe) {
            return try Self.readLong(&source, isBasic: isBasic)
        }
        return try isBasic ? Self.readBasic(&source) : Self.readLiteral(&source)
    }

    /// `"one line"`. Three quotation marks are an empty one and the begin of another.
    static func readBasic(_ source: inout TOMLSource) throws(TOMLError) -> [UInt8] {
        source.skip(1)
        var text: [UInt8] = []
        while let byte = source.next, byte != UInt8(ascii: "\n") {
            if source.take(Self.quote) { return text }
            if source.take(Self.backslash) {
                text += try Self.readEscape(&source)
            } else {
                text.append(try Self.readPlain(&source, byte))
            }
        }
        throw source.error("the text is not closed with \"")
    }

    /// `'one line'`.
    static func readLiteral(_ source: inout TOMLSource) throws(TOMLError) -> [UInt8] {
        source.skip(1)
        var text: [UInt8] = []
        while let byte = source.next, byte != UInt8(ascii: "\n") {
            if source.take(Self.apostrophe) { return text }
            text.append(try Self.readPlain(&source, byte))
        }
        throw source.error("the text is not closed with '")
    }

    /// From behind the three quotation marks.
    private static func readLong(_ source: inout TOMLSource, isBasic: Bool) throws(TOMLError) -> [UInt8] {
        let first = source.line
        let mark = isBasic ? Self.quote : Self.apostrophe
        // "A newline immediately following the opening delimiter will be trimmed."
        _ = source.takeNewline()
        var text: [UInt8] = []
        while let byte = source.next {
            if source.takeThree(mark) {
                // One or two may stand in front of those that close it.
                for _ in 0..<2 where source.take(mark) { text.append(mark) }
                return text
            }
            if isBasic, source.take(Self.backslash) {
                if try !Self.skipFoldedLines(&source) { text += try Self.readEscape(&source) }
            } else if source.next == UInt8(ascii: "\n") {
                source.skip(1)
                text.append(byte)
            } else if source.takeNewline() {
                text += [UInt8(ascii: "\r"), UInt8(ascii: "\n")]
            } else {
                text.append(try Self.readPlain(&source, byte))
            }
        }
        let marks = String(repeating: isBasic ? "\"" : "'", count: 3)
        throw TOMLError(line: first, problem: "the text that begins here is not closed with \(marks)")
    }

    /// "When the last non-whitespace character on a line is an unescaped \, it will be trimmed along with all whitespace
    /// (including newlines) up to the next non-whitespace character or closing delimiter." From behind the backslash.
    private static func skipFoldedLines(_ source: inout TOMLSource) throws(TOMLError) -> Bool {
        guard let next = source.next, next == 0x20 || next == 0x09 || next == 0x0A || next == 0x0D else { return false }
        source.skipBlanks()
        guard source.takeNewline() else {
            throw source.error("only a backslash at the end of its line may have blanks after it")
        }
        repeat { source.skipBlanks() } while source.takeNewline()
        return true
    }

    private static func readPlain(_ source: inout TOMLSource, _ byte: UInt8) throws(TOMLError) -> UInt8 {
        guard !TOMLSource.isControl(byte) else {
            throw source.error("text must not contain control characters; write them as escapes in double quotes")
        }
        source.skip(1)
        return byte
    }

    /// From behind the backslash.
    private static func readEscape(_ source: inout TOMLSource) throws(TOMLError) -> [UInt8] {
        guard let next = source.next else { throw source.error("the text is not closed with \"") }
        let escaped: UInt8
        switch next {
        case UInt8(ascii: "b"): escaped = 0x08
        case UInt8(ascii: "t"): escaped = 0x09
        case UInt8(ascii: "n"): escaped = 0x0A
        case UInt8(ascii: "f"): escaped = 0x0C
        case UInt8(ascii: "r"): escaped = 0x0D
        case Self.quote, Self.backslash: escaped = next
        case UInt8(ascii: "u"): return try Self.readScalar(&source, digits: 4)
        case UInt8(ascii: "U"): return try Self.readScalar(&source, digits: 8)
        default:
            throw source.error("unknown escape; write a backslash as \\\\, or put the text in single quotes")
        }
        source.skip(1)
        return [escaped]
    }

    private static func readScalar(_ source: inout TOMLSource, digits: Int) throws(TOMLError) -> [UInt8] {
        var value: UInt32 = 0
        for index in 1...digits {
            guard let digit = source.byte(behind: index).flatMap(TOMLScalar.hexadecimalValue) else {
                throw source.error("the escape of a character needs \(digits) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw source.error("the number in the escape is not that of a character")
        }
        source.skip(digits + 1)
        return Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }
}
