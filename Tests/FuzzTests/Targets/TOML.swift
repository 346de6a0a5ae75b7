@testable import CommandSupport

/// A configuration file: what TOML it is, and what a program makes of it.
func fuzzTOML(_ bytes: UnsafeRawBufferPointer) throws {
    let bytes = Array(bytes)
    let lines = bytes.count { $0 == UInt8(ascii: "\n") } + 1
    do {
        let document = try TOMLReader.document(in: bytes)
        for line in document.lines { try promise((1...lines).contains(line), "line \(line) of \(lines)") }
        // Written again, all dotted keys are tables in each other, for which there is a limit.
        if document.depth < 30 {
            let written = document.written
            let again = try? TOMLReader.document(in: Array(written.utf8))
            try promise(again?.written == written, "not itself: \(written)")
        }
    } catch let error as TOMLError {
        try promise((1...lines).contains(error.line), "line \(error.line) of \(lines)")
    }
    try fuzzConfiguration(bytes)
}

private let example = CommandSyntax(arguments: [
    .init(kind: .positional, names: ["url"], isRepeating: false),
    .init(kind: .flag, names: ["quic-insecure"], isRepeating: false),
    .init(kind: .option, names: ["secret"], isRepeating: false),
    .init(kind: .option, names: ["secret-file"], isRepeating: false),
    .init(kind: .option, names: ["expire_in", "expire-in"], isRepeating: false),
    .init(kind: .option, names: ["stun"], isRepeating: true),
    .init(kind: .option, names: ["L"], isRepeating: true),
])

private let rule = ConfigurationTable("rule", option: "L", required: ["listen", "to"], optional: ["protocol"]) {
    "\($0["listen"] ?? "")?to=\($0["to"] ?? "")"
}

private func fuzzConfiguration(_ bytes: [UInt8]) throws {
    do {
        let file = try ConfigurationFile(path: "rtun.toml", bytes: bytes)
        for program in ["rtun-relay", "rtun-agent"] {
            let settings = try file.settings(program: program, syntax: example, tables: [rule])
            for word in settings.flatMap(\.words) {
                try promise(!word.isEmpty && !word.utf8.contains(0), "a word that no command line has")
            }
        }
    } catch let error as ProgramError {
        try promise(error.status == .configuration && error.message.contains("rtun.toml"), "\(error)")
    }
}

extension TOMLTable {
    /// As an inline table's inside.
    fileprivate var entriesWritten: [String] {
        self.entries.map { "\(quoted($0.key)) = \($0.value.written)" }
    }

    /// As a document.
    fileprivate var written: String { self.entriesWritten.map { "\($0)\n" }.joined() }

    fileprivate var lines: [Int] { self.entries.flatMap { [$0.line] + $0.value.lines } }

    fileprivate var depth: Int { (self.entries.map(\.value.depth).max() ?? 0) + 1 }
}

extension TOMLValue {
    fileprivate var written: String {
        switch self {
        case .string(let text): quoted(text)
        case .integer(let number): "\(number)"
        case .float(let number): "\(number)"
        case .boolean(let value): "\(value)"
        case .time(_, let text): text
        case .array(let elements): "[\(elements.map(\.value.written).joined(separator: ", "))]"
        case .table(let table): "{\(table.entriesWritten.joined(separator: ", "))}"
        }
    }

    fileprivate var lines: [Int] {
        switch self {
        case .array(let elements): elements.flatMap { [$0.line] + $0.value.lines }
        case .table(let table): table.lines
        default: []
        }
    }

    fileprivate var depth: Int {
        switch self {
        case .array(let elements): (elements.map(\.value.depth).max() ?? 0) + 1
        case .table(let table): table.depth
        default: 0
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
