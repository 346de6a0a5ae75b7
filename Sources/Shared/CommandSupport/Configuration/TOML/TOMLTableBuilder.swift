/// One part of a key. Two that look alike are the same only when their bytes are.
struct TOMLKeyPart: Hashable {
    /// UTF-8.
    let bytes: [UInt8]

    var text: String { String(decoding: self.bytes, as: UTF8.self) }
}

/// A table that may still get more.
final class TOMLTableBuilder {
    enum Kind: Equatable {
        /// Has a header of its own, or is the document.
        case header
        /// Only named in front of the last part of a header. It may get one of its own.
        case implicit
        /// Named in front of the last part of a dotted key, in that part of the document.
        case dotted(section: Int)
        /// Written in braces, and so complete.
        case inline
    }

    enum Content {
        case value(TOMLValue)
        case table(TOMLTableBuilder)
        case tables(TOMLTableArray)
    }

    struct Child {
        let content: Content
        let line: Int
        /// Among its siblings.
        let position: Int
    }

    var kind: Kind
    private(set) var children: [TOMLKeyPart: Child] = [:]

    init(_ kind: Kind) {
        self.kind = kind
    }

    /// Adds what is not there yet.
    func append(_ key: TOMLKeyPart, _ content: Content, line: Int) {
        self.children[key] = Child(content: content, line: line, position: self.children.count)
    }

    /// As it is now.
    var table: TOMLTable {
        TOMLTable(
            entries: self.children.sorted { $0.value.position < $1.value.position }.map { key, child in
                let value: TOMLValue =
                    switch child.content {
                    case .value(let value): value
                    case .table(let table): .table(table.table)
                    case .tables(let tables): .array(tables.elements)
                    }
                return TOMLEntry(key: key.text, value: value, line: child.line)
            })
    }
}

/// An array of tables: one for each `[[name]]`.
final class TOMLTableArray {
    private var tables: [(table: TOMLTableBuilder, line: Int)]
    /// What a header below the array's name speaks of.
    private(set) var last: TOMLTableBuilder

    init(_ first: TOMLTableBuilder, line: Int) {
        self.tables = [(first, line)]
        self.last = first
    }

    func append(_ table: TOMLTableBuilder, line: Int) {
        self.tables.append((table, line))
        self.last = table
    }

    var elements: [TOMLElement] {
        self.tables.map { TOMLElement(value: .table($0.table.table), line: $0.line) }
    }
}
