/// What a file of secrets says: one a line, for anybody or, with `agent:` or `client:` in front, for one role.
///
/// A byte order mark, carriage returns at line ends, blanks at both ends of a line and blank lines are no part of a secret.
package struct SecretFile: Sendable {
    /// Whose a secret is.
    package enum Role: String, Sendable, CaseIterable {
        case agent, client
    }

    /// One line.
    package struct Entry: Sendable {
        /// nil: anybody's.
        package let role: Role?
        package let secret: Secret
    }

    /// Why a file cannot be used.
    enum Problem: Error, Equatable, CustomStringConvertible {
        case noSecret
        case nothingBehindRole(line: Int)
        case tooMany(limit: Int)

        var description: String {
            switch self {
            case .noSecret: "it holds no secret"
            case .nothingBehindRole(let line): "line \(line) has a role, and no secret behind it"
            case .tooMany(let limit): "it holds more than \(limit) secrets"
            }
        }
    }

    /// A server has no more.
    static let limit = 64

    /// In their order, each once; at least one.
    package let entries: [Entry]
    /// What was left out, in words; nil when there was nothing.
    let omissions: String?

    init(parsing contents: [UInt8]) throws(Problem) {
        let bytes = TextFile.withoutByteOrderMark(contents)
        var entries: [Entry] = []
        var trimmed: [Int] = []
        var blank = 0
        var returns = false
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        // The end of the last line is no line.
        if lines.last?.isEmpty == true { lines.removeLast() }
        for (number, whole) in zip(1..., lines) {
            var line = whole
            if line.last == UInt8(ascii: "\r") {
                line.removeLast()
                returns = true
            }
            let text = Self.withoutBlanks(line)
            if text.isEmpty {
                blank += 1
                continue
            }
            if text.count < line.count { trimmed.append(number) }
            let (role, secret) = Self.split(text)
            guard !secret.isEmpty else { throw .nothingBehindRole(line: number) }
            guard !entries.contains(where: { $0.role == role && $0.secret.bytes.elementsEqual(secret) }) else {
                continue
            }
            guard entries.count < Self.limit else { throw .tooMany(limit: Self.limit) }
            entries.append(Entry(role: role, secret: Secret(bytes: Array(secret))))
        }
        guard !entries.isEmpty else { throw .noSecret }
        self.entries = entries
        var omissions: [String] = []
        if bytes.count < contents.count { omissions.append("the byte order mark") }
        if returns { omissions.append("carriage returns at line ends") }
        if !trimmed.isEmpty {
            let numbers = trimmed.prefix(3).map(String.init).joined(separator: ", ") + (trimmed.count > 3 ? ", …" : "")
            omissions.append("blanks at the ends of line \(numbers)")
        }
        if blank > 0 { omissions.append(blank == 1 ? "a blank line" : "\(blank) blank lines") }
        self.omissions = omissions.isEmpty ? nil : omissions.joined(separator: ", ")
    }

    /// The first one that is for the role or for anybody.
    func secret(for role: Role) -> Secret? {
        self.entries.first { $0.role == nil || $0.role == role }?.secret
    }

    private static func split(_ text: ArraySlice<UInt8>) -> (role: Role?, secret: ArraySlice<UInt8>) {
        for role in Role.allCases where text.starts(with: "\(role.rawValue):".utf8) {
            return (role, Self.withoutBlanks(text.dropFirst(role.rawValue.utf8.count + 1)))
        }
        return (nil, text)
    }

    private static func withoutBlanks(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let rest = line.drop(while: isBlank)
        guard let last = rest.lastIndex(where: { !isBlank($0) }) else { return rest[rest.endIndex...] }
        return rest[...last]
    }
}
