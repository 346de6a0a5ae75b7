// Stands in for FoundationEssentials in statically linked programs, where that weighs 6 MB. Of rtun and the packages that it
// is made of, only ArgumentParser needs it, for what is here: to write down what options a command has.
//
// scripts/dist.sh compiles this module and has ArgumentParser import it under Foundation's name.

/// An error that has words of its own for people.
public protocol LocalizedError: Error {
    /// What has happened.
    var errorDescription: String? { get }
}

extension LocalizedError {
    public var errorDescription: String? { nil }
}

/// Bytes.
public struct Data: Sendable {
    fileprivate var bytes: [UInt8]
}

extension String {
    /// How text is made of bytes.
    public struct Encoding: Sendable {
        public static let utf8 = Encoding()
    }

    public init?(data: Data, encoding: Encoding) {
        self.init(validating: data.bytes, as: UTF8.self)
    }
}

/// Writes values as JSON (RFC 8259), without spaces and with the members of objects in the order of their names.
public final class JSONEncoder {
    /// Spaces and order, of which there is no choice.
    public struct OutputFormatting: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
        public static let prettyPrinted = OutputFormatting(rawValue: 1)
        public static let sortedKeys = OutputFormatting(rawValue: 2)
    }

    public var outputFormatting: OutputFormatting = []

    public init() {}

    /// Throws what `value` throws when it encodes itself.
    public func encode(_ value: some Encodable) throws -> Data {
        let node = Node()
        try value.encode(to: ValueEncoder(node: node, codingPath: []))
        var text = ""
        node.write(to: &text)
        return Data(bytes: Array(text.utf8))
    }
}

/// A JSON value that becomes known bit by bit.
private final class Node {
    enum Content {
        /// A number or another word.
        case word(String)
        case string(String)
        case array([Node])
        case object([String: Node])
    }

    var content = Content.object([:])

    func add(_ key: String) -> Node {
        var members: [String: Node] = [:]
        if case .object(let known) = self.content { members = known }
        let node = members[key] ?? Node()
        members[key] = node
        self.content = .object(members)
        return node
    }

    func append() -> Node {
        var elements: [Node] = []
        if case .array(let known) = self.content { elements = known }
        let node = Node()
        self.content = .array(elements + [node])
        return node
    }

    var count: Int {
        if case .array(let elements) = self.content { elements.count } else { 0 }
    }

    func write(to text: inout String) {
        switch self.content {
        case .word(let word): text += word
        case .string(let string): Self.write(string, to: &text)
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, key) in members.keys.sorted().enumerated() {
                if index > 0 { text += "," }
                Self.write(key, to: &text)
                text += ":"
                members[key]?.write(to: &text)
            }
            text += "}"
        }
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

private struct ValueEncoder: Encoder {
    let node: Node
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(Members<Key>(node: self.node, codingPath: self.codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        self.node.content = .array([])
        return Elements(node: self.node, codingPath: self.codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        Single(node: self.node, codingPath: self.codingPath)
    }
}

extension ValueEncoder {
    /// Numbers, truth values and strings are asked for by type: their own `encode(to:)` comes back to ``Single``.
    fileprivate static func encode(_ value: some Encodable, to node: Node, _ codingPath: [any CodingKey]) throws {
        try value.encode(to: ValueEncoder(node: node, codingPath: codingPath))
    }
}

private struct Single: SingleValueEncodingContainer {
    let node: Node
    let codingPath: [any CodingKey]

    func encodeNil() { self.node.content = .word("null") }
    func encode(_ value: Bool) { self.node.content = .word(value ? "true" : "false") }
    func encode(_ value: String) { self.node.content = .string(value) }
    func encode(_ value: Int) { self.word(value) }
    func encode(_ value: Int8) { self.word(value) }
    func encode(_ value: Int16) { self.word(value) }
    func encode(_ value: Int32) { self.word(value) }
    func encode(_ value: Int64) { self.word(value) }
    func encode(_ value: UInt) { self.word(value) }
    func encode(_ value: UInt8) { self.word(value) }
    func encode(_ value: UInt16) { self.word(value) }
    func encode(_ value: UInt32) { self.word(value) }
    func encode(_ value: UInt64) { self.word(value) }
    func encode(_ value: Float) { self.word(value) }
    func encode(_ value: Double) { self.word(value) }
    func encode(_ value: some Encodable) throws { try ValueEncoder.encode(value, to: self.node, self.codingPath) }

    private func word(_ value: some CustomStringConvertible) { self.node.content = .word(value.description) }
}

private struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: Node
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { self.node.add(key.stringValue).content = .word("null") }

    func encode(_ value: some Encodable, forKey key: Key) throws {
        try ValueEncoder.encode(value, to: self.node.add(key.stringValue), self.codingPath + [key])
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        self.encoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        self.encoder(key).unkeyedContainer()
    }

    /// There are no classes with superclasses that encode themselves.
    func superEncoder() -> any Encoder { ValueEncoder(node: self.node.add("super"), codingPath: self.codingPath) }
    func superEncoder(forKey key: Key) -> any Encoder { self.encoder(key) }

    private func encoder(_ key: Key) -> ValueEncoder {
        ValueEncoder(node: self.node.add(key.stringValue), codingPath: self.codingPath + [key])
    }
}

private struct Elements: UnkeyedEncodingContainer {
    let node: Node
    let codingPath: [any CodingKey]
    var count: Int { self.node.count }

    func encodeNil() { self.node.append().content = .word("null") }
    func encode(_ value: some Encodable) throws {
        try ValueEncoder.encode(value, to: self.node.append(), self.codingPath)
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        self.next().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { self.next().unkeyedContainer() }
    func superEncoder() -> any Encoder { self.next() }

    private func next() -> ValueEncoder { ValueEncoder(node: self.node.append(), codingPath: self.codingPath) }
}
