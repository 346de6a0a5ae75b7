/// A JSON value (RFC 8259), as far as it takes to read what ArgumentParser says of a command. Foundation's decoder would be a
/// fifth of a statically linked program.
enum JSONValue: Equatable, Sendable {
    case null
    case boolean(Bool)
    /// As it was written.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Something that is no JSON, and where in bytes.
    struct SyntaxError: Error, Equatable {
        let offset: Int
    }

    /// Reads a text that is one value. Throws a ``SyntaxError``, also for values that lie more than 64 deep.
    init(parsing text: String) throws(SyntaxError) {
        var reader = JSONReader(bytes: Array(text.utf8))
        self = try reader.readValue(depth: 0)
        reader.skipSpace()
        guard reader.isAtEnd else { throw reader.error }
    }

    /// A member of an object; nil for others and where there is none, or null.
    subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self, let member = members[name], member != .null else { return nil }
        return member
    }

    var string: String? { if case .string(let string) = self { string } else { nil } }
    var boolean: Bool? { if case .boolean(let boolean) = self { boolean } else { nil } }
    var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
}

private struct JSONReader {
    private static let maximumDepth = 64

    let bytes: [UInt8]
    private var offset = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { self.offset == self.bytes.count }
    var error: JSONValue.SyntaxError { JSONValue.SyntaxError(offset: self.offset) }

    mutating func skipSpace() {
        while let byte = self.peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { self.offset += 1 }
    }

    mutating func readValue(depth: Int) throws(JSONValue.SyntaxError) -> JSONValue {
        guard depth < Self.maximumDepth else { throw self.error }
        self.skipSpace()
        switch self.peek {
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            try self.readList(until: UInt8(ascii: "}")) { (reader) throws(JSONValue.SyntaxError) in
                reader.skipSpace()
                let name = try reader.readString()
                reader.skipSpace()
                guard reader.take(UInt8(ascii: ":")) else { throw reader.error }
                members[name] = try reader.readValue(depth: depth + 1)
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try self.readList(until: UInt8(ascii: "]")) { (reader) throws(JSONValue.SyntaxError) in
                elements.append(try reader.readValue(depth: depth + 1))
            }
            return .array(elements)
        case UInt8(ascii: "\""):
            return .string(try self.readString())
        default:
            return try self.readWord()
        }
    }

    private var peek: UInt8? { self.offset < self.bytes.count ? self.bytes[self.offset] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek == byte else { return false }
        self.offset += 1
        return true
    }

    /// Elements with commas between them, from the opening bracket to the closing one.
    private mutating func readList(
        until end: UInt8, _ readElement: (inout JSONReader) throws(JSONValue.SyntaxError) -> Void
    ) throws(JSONValue.SyntaxError) {
        self.offset += 1
        self.skipSpace()
        if self.take(end) { return }
        repeat {
            try readElement(&self)
            self.skipSpace()
        } while self.take(UInt8(ascii: ","))
        guard self.take(end) else { throw self.error }
    }

    private mutating func readWord() throws(JSONValue.SyntaxError) -> JSONValue {
        let start = self.offset
        while let byte = self.peek, !" \t\r\n,:[]{}\"".utf8.contains(byte) { self.offset += 1 }
        let word = String(decoding: self.bytes[start..<self.offset], as: UTF8.self)
        switch word {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        case "null": return .null
        case _ where Double(word) != nil && word.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }:
            return .number(word)
        default:
            self.offset = start
            throw self.error
        }
    }

    private mutating func readString() throws(JSONValue.SyntaxError) -> String {
        guard self.take(UInt8(ascii: "\"")) else { throw self.error }
        var units: [UInt8] = []
        while let byte = self.peek {
            self.offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: units, as: UTF8.self) else { throw self.error }
                return string
            case UInt8(ascii: "\\"): units += try self.readEscape()
            case 0..<0x20: throw self.error
            default: units.append(byte)
            }
        }
        throw self.error
    }

    /// What is behind a backslash, as UTF-8.
    private mutating func readEscape() throws(JSONValue.SyntaxError) -> [UInt8] {
        guard let byte = self.peek else { throw self.error }
        self.offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            var units = [try self.readUnit()]
            if UTF16.isLeadSurrogate(units[0]) {
                guard self.take(UInt8(ascii: "\\")), self.take(UInt8(ascii: "u")) else { throw self.error }
                units.append(try self.readUnit())
            }
            guard let string = String(validating: units, as: UTF16.self) else { throw self.error }
            return Array(string.utf8)
        default: throw self.error
        }
    }

    /// Four hexadecimal digits.
    private mutating func readUnit() throws(JSONValue.SyntaxError) -> UInt16 {
        guard self.bytes.count - self.offset >= 4 else { throw self.error }
        let digits = String(decoding: self.bytes[self.offset..<self.offset + 4], as: UTF8.self)
        guard digits.allSatisfy(\.isHexDigit), let unit = UInt16(digits, radix: 16) else { throw self.error }
        self.offset += 4
        return unit
    }
}
