@testable import CommandSupport

/// A configuration file.
func fuzzTOML(_ bytes: UnsafeRawBufferPointer) throws {
    let text = FuzzInput(bytes).text()
    let lines = text.unicodeScalars.count { $0 == "\n" } + 1
    do {
        let tables = try TOMLReader.tables(in: text)
        let written = tables.map(\.written).joined()
        try promise((try? TOMLReader.tables(in: written))?.map(\.written).joined() == written, "not itself: \(written)")
        let last = tables.last.map { $0.entries.last?.line ?? $0.line } ?? 0
        try promise(last <= lines, "line \(last) of \(lines)")
    } catch let error as TOMLError {
        try promise((1...lines).contains(error.line), "line \(error.line) of \(lines)")
    }
}

extension TOMLTable {
    /// As it may stand in a file.
    fileprivate var written: String {
        (["[\(quoted(self.name))]"] + self.entries.map { "\(quoted($0.key)) = \($0.value.written)" } + [""])
            .joined(separator: "\n")
    }
}

extension TOMLValue {
    fileprivate var written: String {
        switch self {
        case .string(let text): quoted(text)
        case .number(let digits): digits
        case .boolean(let value): "\(value)"
        case .array(let values): "[\(values.map(\.written).joined(separator: ", "))]"
        }
    }
}

/// Everything but ASCII letters, digits and spaces as an escape.
private func quoted(_ text: String) -> String {
    text.unicodeScalars.reduce("\"") { quoted, scalar in
        if scalar.isASCII, scalar == " " || scalar.properties.isAlphabetic { return quoted + String(scalar) }
        let digits = String(scalar.value, radix: 16)
        return quoted + "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
    } + "\""
}
