import NIOCore

/// One field line: what is in front of the colon, and what is behind it without the blanks around it.
struct HTTPField {
    let name: ArraySlice<UInt8>
    let value: ArraySlice<UInt8>

    func isNamed(_ name: StaticString) -> Bool {
        self.name.count == name.utf8CodeUnitCount
            && name.withUTF8Buffer { known in
                zip(self.name, known).allSatisfy { HTTPText.lowercase($0) == HTTPText.lowercase($1) }
            }
    }

    func isNamed(_ name: some Collection<UInt8>) -> Bool { HTTPText.equal(self.name, name) }
}

/// The fields of a head or a trailer, in their order.
package struct HTTPFields {
    /// So many lines at most.
    static let limit = 1000

    private(set) var lines: [HTTPField] = []

    init() {}

    /// Reads lines that have no line ends in them any more.
    init(_ lines: some Collection<ArraySlice<UInt8>>) throws(HTTPViolation) {
        guard lines.count <= Self.limit else { throw .tooManyFields }
        for line in lines { self.lines.append(try Self.field(line)) }
    }

    /// `field-name ":" OWS field-value OWS` (RFC 9112 §5).
    private static func field(_ line: ArraySlice<UInt8>) throws(HTTPViolation) -> HTTPField {
        guard let first = line.first, !HTTPText.isBlank(first) else { throw .foldedLine }
        guard let colon = line.firstIndex(of: HTTPText.colon) else { throw .malformedField }
        let name = line[..<colon]
        if let last = name.last, HTTPText.isBlank(last) { throw .blankBeforeColon }
        guard HTTPText.isToken(name) else { throw .malformedField }
        let value = HTTPText.trimmed(line[(colon + 1)...])
        guard !value.contains(where: HTTPText.isControl) else { throw .controlCharacter }
        return HTTPField(name: name, value: value)
    }

    /// The values of all fields of that name.
    func values(_ name: StaticString) -> [ArraySlice<UInt8>] {
        self.lines.filter { $0.isNamed(name) }.map(\.value)
    }

    func contains(_ name: StaticString) -> Bool { self.lines.contains { $0.isNamed(name) } }

    /// The members of all lists of that name (RFC 9110 §5.6.1), without the empty ones.
    func members(_ name: StaticString) -> [ArraySlice<UInt8>] {
        self.values(name).flatMap { $0.split(separator: HTTPText.comma) }.map(HTTPText.trimmed).filter { !$0.isEmpty }
    }

    /// Whether such a list has this member; the case of letters counts for nothing.
    func members(_ name: StaticString, contain member: StaticString) -> Bool {
        self.members(name).contains { HTTPField(name: $0, value: []).isNamed(member) }
    }
}

extension ByteBuffer {
    mutating func writeField(_ field: HTTPField) { self.writeField(field.name, field.value) }

    mutating func writeField(_ name: some Collection<UInt8>, _ value: some Collection<UInt8>) {
        self.writeBytes(name)
        self.writeStaticString(": ")
        self.writeBytes(value)
        self.writeStaticString("\r\n")
    }

    mutating func writeField(_ name: StaticString, _ value: some Collection<UInt8>) {
        self.writeStaticString(name)
        self.writeStaticString(": ")
        self.writeBytes(value)
        self.writeStaticString("\r\n")
    }
}
