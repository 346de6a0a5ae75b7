extension TOMLReader {
    /// A value, which must be next.
    mutating func readValue() throws(TOMLError) -> TOMLValue {
        switch self.source.next {
        case UInt8(ascii: "\"")?, UInt8(ascii: "'")?:
            return .string(String(decoding: try TOMLText.read(&self.source), as: UTF8.self))
        case UInt8(ascii: "[")?: return .array(try self.nested { reader throws(TOMLError) in try reader.readArray() })
        case UInt8(ascii: "{")?:
            return .table(try self.nested { reader throws(TOMLError) in try reader.readInlineTable() })
        case nil, UInt8(ascii: "\n")?, UInt8(ascii: "\r")?, UInt8(ascii: "#")?, UInt8(ascii: ",")?:
            throw self.source.error("expected a value; text needs quotes")
        default: return try self.readWord()
        }
    }

    /// What is in brackets or braces; `read` begins behind the first.
    private mutating func nested<Value>(
        _ read: (inout TOMLReader) throws(TOMLError) -> Value
    ) throws(TOMLError) -> Value {
        guard self.nesting < Self.maximumNesting else {
            throw self.source.error(
                "more than \(Self.maximumNesting) arrays and inline tables are nested in each other")
        }
        self.nesting += 1
        defer { self.nesting -= 1 }
        self.source.skip(1)
        return try read(&self)
    }

    private mutating func readArray() throws(TOMLError) -> [TOMLElement] {
        var elements: [TOMLElement] = []
        while true {
            try self.source.skipLines()
            if self.source.take(UInt8(ascii: "]")) { return elements }
            let line = self.source.line
            elements.append(TOMLElement(value: try self.readValue(), line: line))
            try self.source.skipLines()
            if self.source.take(UInt8(ascii: "]")) { return elements }
            guard self.source.take(UInt8(ascii: ",")) else {
                throw self.source.error("expected , or ] in the array\(self.source.saw)")
            }
        }
    }

    /// What goes without quotes.
    private mutating func readWord() throws(TOMLError) -> TOMLValue {
        let line = self.source.line
        var word = Array(self.source.takeWhile(Self.isOfWord))
        // A blank may stand between date and time.
        if word.count == 10, word[4] == UInt8(ascii: "-"), self.source.next == UInt8(ascii: " "),
            self.source.byte(behind: 3) == UInt8(ascii: ":")
        {
            self.source.skip(1)
            word += [UInt8(ascii: " ")] + self.source.takeWhile(Self.isOfWord)
        }
        let text = String(decoding: word, as: UTF8.self)
        if let value = TOMLScalar.value(of: text) { return value }
        // The word may well be a secret: it is not quoted.
        let problem =
            TOMLScalar.isTooLarge(text)
            ? "the number is too large: numbers have 64 bits"
            : text.isEmpty
                ? "expected a value\(self.source.saw); text needs quotes" : "that is not a value; text needs quotes"
        throw TOMLError(line: line, problem: problem)
    }

    /// Whether `byte` may be part of what goes without quotes; also of what people forget to put into some.
    private static func isOfWord(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte != 0x7F && !",[]{}#\"'=".utf8.contains(byte)
    }
}
