/// Reads TOML 1.0 (toml.io/en/v1.0.0), all of it.
///
/// It is our own since what there is to link is less safe: toml++ 3.3.0, which Debian 12 and TOMLKit have, ends the process at a
/// text that ends behind `[`, is undefined in C++ for a key of a Greek letter, and overflows the stack with a key of 100 000
/// parts. Here depth has a limit: a value may lie in ``maximumNesting`` arrays and inline tables, and a key may have
/// ``maximumKeyParts`` parts.
struct TOMLReader {
    /// Arrays and inline tables may lie in each other this deep.
    static let maximumNesting = 32
    /// A dotted key may have so many parts.
    static let maximumKeyParts = 32

    var source: TOMLSource
    private let root = TOMLTableBuilder(.header)
    /// Where keys go: the table of the last header.
    private var current: TOMLTableBuilder
    /// Which part of the document dotted keys belong to: a header's, or an inline table's.
    private var section = 0
    private var sections = 0

    private init(_ bytes: [UInt8]) {
        self.source = TOMLSource(bytes)
        self.current = self.root
    }

    /// The document in `bytes`, UTF-8 with or without a byte order mark.
    static func document(in bytes: [UInt8]) throws(TOMLError) -> TOMLTable {
        let bytes = TextFile.withoutByteOrderMark(bytes)
        guard String(validating: bytes, as: UTF8.self) != nil else { throw Self.encodingError(bytes) }
        var reader = TOMLReader(bytes)
        try reader.readDocument()
        return reader.root.table
    }

    private static func encodingError(_ bytes: [UInt8]) -> TOMLError {
        // No byte of a character is a line feed, so that each line can be looked at by itself.
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let index = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
        return TOMLError(line: index + 1, problem: "not UTF-8 text")
    }

    private mutating func readDocument() throws(TOMLError) {
        while true {
            self.source.skipBlanks()
            switch self.source.next {
            case nil: return
            case UInt8(ascii: "["): try self.readHeader()
            case UInt8(ascii: "#"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): break
            default: try self.readEntry(into: self.current)
            }
            try self.source.endLine()
        }
    }

    // MARK: Headers

    private mutating func readHeader() throws(TOMLError) {
        let line = self.source.line
        self.source.skip(1)
        let isArray = self.source.take(UInt8(ascii: "["))
        let key = try self.readKey()
        guard self.source.take(UInt8(ascii: "]")), !isArray || self.source.take(UInt8(ascii: "]")) else {
            throw self.source.error("expected \(isArray ? "]]" : "]") after the table's name")
        }
        var table = self.root
        for part in key.dropLast() {
            switch table.children[part]?.content {
            case nil:
                let new = TOMLTableBuilder(.implicit)
                table.append(part, .table(new), line: line)
                table = new
            case .table(let next) where next.kind != .inline: table = next
            case .tables(let tables): table = tables.last
            default: throw self.error("\(Self.shown(part)) is already a value, not a table", line: line)
            }
        }
        // A document has one header at least.
        guard let name = key.last else { return }
        self.current = try self.table(named: name, in: table, isArray: isArray, key: key, line: line)
        self.sections += 1
        self.section = self.sections
    }

    private func table(
        named name: TOMLKeyPart, in table: TOMLTableBuilder, isArray: Bool, key: [TOMLKeyPart], line: Int
    ) throws(TOMLError) -> TOMLTableBuilder {
        let shown = key.map(Self.shown).joined(separator: ".")
        switch table.children[name]?.content {
        case nil:
            let new = TOMLTableBuilder(.header)
            table.append(name, isArray ? .tables(TOMLTableArray(new, line: line)) : .table(new), line: line)
            return new
        case .table(let existing) where existing.kind == .implicit && !isArray:
            existing.kind = .header
            return existing
        case .tables(let tables) where isArray:
            let new = TOMLTableBuilder(.header)
            tables.append(new, line: line)
            return new
        case .tables: throw self.error("\(shown) is an array of tables: write [[\(shown)]]", line: line)
        case .table: throw self.error("the table \(shown) is defined twice", line: line)
        case .value: throw self.error("\(shown) is already a value, not a table", line: line)
        }
    }

    // MARK: Entries

    /// One `key = value`.
    mutating func readEntry(into table: TOMLTableBuilder) throws(TOMLError) {
        let line = self.source.line
        let key = try self.readKey()
        guard self.source.take(UInt8(ascii: "=")) else {
            throw self.source.error("expected = after \(key.map(Self.shown).joined(separator: "."))")
        }
        self.source.skipBlanks()
        // "Dotted keys create and define a table for each key part before the last. Any such table must have all its key/value
        // pairs defined under the current [table] header".
        var table = table
        for part in key.dropLast() {
            switch table.children[part]?.content {
            case nil:
                let new = TOMLTableBuilder(.dotted(section: self.section))
                table.append(part, .table(new), line: line)
                table = new
            case .table(let next) where next.kind == .dotted(section: self.section): table = next
            default: throw self.error("\(Self.shown(part)) is already defined elsewhere", line: line)
            }
        }
        guard let name = key.last, table.children[name] == nil else {
            throw self.error("\(key.map(Self.shown).joined(separator: ".")) is defined twice", line: line)
        }
        table.append(name, .value(try self.readValue()), line: line)
    }

    /// A key of one or more parts, with the blanks around it.
    private mutating func readKey() throws(TOMLError) -> [TOMLKeyPart] {
        var parts: [TOMLKeyPart] = []
        repeat {
            guard parts.count < Self.maximumKeyParts else {
                throw self.source.error("a key may have at most \(Self.maximumKeyParts) parts")
            }
            self.source.skipBlanks()
            parts.append(try self.readKeyPart())
            self.source.skipBlanks()
        } while self.source.take(UInt8(ascii: "."))
        return parts
    }

    private mutating func readKeyPart() throws(TOMLError) -> TOMLKeyPart {
        switch self.source.next {
        case UInt8(ascii: "\"")?: return TOMLKeyPart(bytes: try TOMLText.readBasic(&self.source))
        case UInt8(ascii: "'")?: return TOMLKeyPart(bytes: try TOMLText.readLiteral(&self.source))
        default:
            let bytes = self.source.takeWhile(Self.isBare)
            guard !bytes.isEmpty else {
                throw self.source.error(
                    "expected a key\(self.source.saw); keys with anything but ASCII letters, digits, - and _ need quotes"
                )
            }
            return TOMLKeyPart(bytes: Array(bytes))
        }
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    static func shown(_ part: TOMLKeyPart) -> String {
        part.bytes.allSatisfy(Self.isBare) && !part.bytes.isEmpty ? part.text : "\"\(part.text)\""
    }

    private func error(_ problem: String, line: Int) -> TOMLError { TOMLError(line: line, problem: problem) }

    // MARK: Inline tables

    /// An inline table, from behind its brace.
    mutating func readInlineTable() throws(TOMLError) -> TOMLTable {
        let outer = self.section
        self.sections += 1
        self.section = self.sections
        defer { self.section = outer }
        let table = TOMLTableBuilder(.inline)
        self.source.skipBlanks()
        if self.source.take(UInt8(ascii: "}")) { return table.table }
        while true {
            try self.readEntry(into: table)
            self.source.skipBlanks()
            if self.source.take(UInt8(ascii: "}")) { return table.table }
            guard self.source.take(UInt8(ascii: ",")) else {
                throw self.source.error("expected , or } in the inline table\(self.source.saw)")
            }
            self.source.skipBlanks()
            if self.source.next == UInt8(ascii: "}") {
                throw self.source.error("an inline table must not have a comma before }")
            }
        }
    }

    /// How deep the value that is read lies in others.
    var nesting = 0
}
