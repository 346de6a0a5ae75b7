import Basics

/// Reads what a configuration file needs of TOML 1.0: tables of strings, numbers, truth values and arrays of them.
///
/// Dates, inline tables, multi-line strings, dotted keys and arrays of tables are refused by name. A complete reader
/// (TOMLKit) would bring in all of Foundation and with it more memory than an idle agent may use.
struct TOMLReader {
    /// Arrays may be nested this deep.
    private static let maximumDepth = 8

    private let text: [Unicode.Scalar]
    private var position = 0
    private var line = 1

    private init(_ text: String) {
        self.text = Array(text.unicodeScalars)
    }

    /// The tables of `text`, in order.
    static func tables(in text: String) throws(TOMLError) -> [TOMLTable] {
        var reader = TOMLReader(text)
        return try reader.readTables()
    }

    private mutating func readTables() throws(TOMLError) -> [TOMLTable] {
        var tables: [TOMLTable] = []
        while true {
            self.skipBlanksAndLines()
            guard let next = self.peek else { return tables }
            if next == "[" {
                let table = try self.readHeader()
                if tables.contains(where: { $0.name == table.name }) {
                    throw self.error("the table [\(table.name)] is there twice", line: table.line)
                }
                tables.append(table)
            } else {
                let entry = try self.readEntry()
                guard let last = tables.indices.last else {
                    throw self.error("\"\(entry.key)\" stands in front of the first [table]", line: entry.line)
                }
                if tables[last].entries.contains(where: { $0.key == entry.key }) {
                    throw self.error("\"\(entry.key)\" is there twice", line: entry.line)
                }
                tables[last].entries.append(entry)
            }
            try self.endLine()
        }
    }

    private mutating func readHeader() throws(TOMLError) -> TOMLTable {
        let line = self.line
        self.position += 1
        if self.peek == "[" { throw self.error("arrays of tables ([[…]]) are not supported here") }
        let name = try self.readKey()
        guard self.take("]") else {
            throw self.error("expected ] after the table's name; nested tables are not supported here")
        }
        return TOMLTable(name: name, line: line)
    }

    private mutating func readEntry() throws(TOMLError) -> TOMLEntry {
        let line = self.line
        let key = try self.readKey()
        if self.peek == "." { throw self.error("dotted keys are not supported here") }
        guard self.take("=") else { throw self.error("expected = after \"\(key)\"") }
        self.skipBlanks()
        return TOMLEntry(key: key, value: try self.readValue(depth: 0), line: line)
    }

    /// A key, bare or quoted, with the blanks around it.
    private mutating func readKey() throws(TOMLError) -> String {
        self.skipBlanks()
        defer { self.skipBlanks() }
        if let next = self.peek, next == "\"" || next == "'" { return try self.readString(quote: next) }
        let key = self.readWhile { scalar in
            scalar.isASCII
                && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "-"
                    || scalar == "_")
        }
        guard !key.isEmpty else { throw self.error("expected a key or a [table]") }
        return key
    }

    private mutating func readValue(depth: Int) throws(TOMLError) -> TOMLValue {
        switch self.peek {
        case nil, "\n": throw self.error("expected a value")
        case let quote? where quote == "\"" || quote == "'": return .string(try self.readString(quote: quote))
        case "[": return .array(try self.readArray(depth: depth + 1))
        case "{": throw self.error("inline tables are not supported here")
        default: return try self.readWord()
        }
    }

    private mutating func readArray(depth: Int) throws(TOMLError) -> [TOMLValue] {
        guard depth <= Self.maximumDepth else { throw self.error("arrays are nested too deeply") }
        self.position += 1
        var values: [TOMLValue] = []
        while true {
            self.skipBlanksAndLines()
            if self.take("]") { return values }
            values.append(try self.readValue(depth: depth))
            self.skipBlanksAndLines()
            if self.take(",") { continue }
            guard self.take("]") else { throw self.error("expected , or ] in the array") }
            return values
        }
    }

    /// A number or a truth value.
    private mutating func readWord() throws(TOMLError) -> TOMLValue {
        let word = self.readWhile { !" \t\n\r,]#".unicodeScalars.contains($0) }
        switch word {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        default:
            let digits = word.filter { $0 != "_" }
            let isNumber =
                digits.contains { $0.isNumber }
                && digits.allSatisfy { $0.isASCII && ($0.isNumber || ".+-eE".contains($0)) }
            // A minus in the middle is a date's, unless an exponent stands in front of it.
            let isDate = digits.dropFirst().contains("-") && !digits.lowercased().includes("e-")
            guard isNumber, !isDate else { throw self.error("\"\(word)\" is no value; text needs quotes") }
            return .number(digits)
        }
    }

    private mutating func readString(quote: Unicode.Scalar) throws(TOMLError) -> String {
        self.position += 1
        if self.peek == quote, self.text.indices.contains(self.position + 1), self.text[self.position + 1] == quote {
            throw self.error("multi-line strings are not supported here")
        }
        var string = ""
        while let scalar = self.peek, scalar != "\n" {
            self.position += 1
            if scalar == quote { return string }
            if scalar == "\\" && quote == "\"" {
                string.unicodeScalars.append(try self.readEscape())
            } else {
                string.unicodeScalars.append(scalar)
            }
        }
        throw self.error("the text is not closed with \(quote)")
    }

    private mutating func readEscape() throws(TOMLError) -> Unicode.Scalar {
        defer { self.position += 1 }
        switch self.peek {
        case "b": return "\u{8}"
        case "t": return "\t"
        case "n": return "\n"
        case "f": return "\u{C}"
        case "r": return "\r"
        case "\"": return "\""
        case "\\": return "\\"
        case "u", "U":
            let length = self.peek == "u" ? 4 : 8
            let digits = self.text[(self.position + 1)...].prefix(length)
            guard digits.count == length, digits.allSatisfy({ $0.properties.isASCIIHexDigit }),
                let value = UInt32(String(String.UnicodeScalarView(digits)), radix: 16),
                let scalar = Unicode.Scalar(value)
            else { throw self.error("an escape of a character needs \(length) hex digits of a valid one") }
            self.position += length
            return scalar
        default: throw self.error("unknown escape; write a backslash as \\\\, or put the text in single quotes")
        }
    }

    private mutating func endLine() throws(TOMLError) {
        self.skipBlanks()
        guard self.peek == nil || self.peek == "\n" || self.peek == "#" else {
            throw self.error("unexpected \"\(self.peek.map(String.init) ?? "")\" behind the value")
        }
    }

    private mutating func skipBlanks() {
        while let scalar = self.peek, scalar == " " || scalar == "\t" || scalar == "\r" { self.position += 1 }
    }

    /// Skips blanks, line ends and comments.
    private mutating func skipBlanksAndLines() {
        while let scalar = self.peek {
            switch scalar {
            case " ", "\t", "\r": self.position += 1
            case "\n":
                self.position += 1
                self.line += 1
            case "#": _ = self.readWhile { $0 != "\n" }
            default: return
            }
        }
    }

    private mutating func readWhile(_ condition: (Unicode.Scalar) -> Bool) -> String {
        let scalars = self.text[self.position...].prefix(while: condition)
        self.position = scalars.endIndex
        return String(String.UnicodeScalarView(scalars))
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard self.peek == scalar else { return false }
        self.position += 1
        return true
    }

    private var peek: Unicode.Scalar? {
        self.position < self.text.count ? self.text[self.position] : nil
    }

    private func error(_ problem: String, line: Int? = nil) -> TOMLError {
        TOMLError(line: line ?? self.line, problem: problem)
    }
}
