/// A file about keys as people write it: one rule a line, its words between blanks, comments from a word that begins with `#`.
///
/// A byte order mark, carriage returns at line ends, blanks at both ends of a line, and blank lines mean nothing.
package struct KeyLines: Sendable {
    /// A file has no more bytes: what its reader passes to `SmallFile`.
    package static let byteLimit = 1 << 20
    /// A file has no more lines with something on them.
    package static let lineLimit = 10_000

    /// One rule, of at least one word.
    package struct Line: Sendable {
        /// Where it stands, from 1.
        package let number: Int
        package let words: [String]
    }

    package let lines: [Line]

    package init(parsing contents: [UInt8]) throws(KeyLineError) {
        if contents.starts(with: [0xFF, 0xFE]) || contents.starts(with: [0xFE, 0xFF]) {
            throw KeyLineError(line: nil, "it is UTF-16; save it as UTF-8")
        }
        // RFC 3629 §6.
        let bytes = contents.starts(with: [0xEF, 0xBB, 0xBF]) ? contents[3...] : contents[...]
        var lines: [Line] = []
        for (number, raw) in zip(1..., bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)) {
            let line = raw.last == UInt8(ascii: "\r") ? raw.dropLast() : raw
            guard let text = String(validating: line, as: UTF8.self) else {
                throw KeyLineError(line: number, "it is no UTF-8")
            }
            let words = try Self.words(of: text, number)
            guard !words.isEmpty else { continue }
            guard lines.count < Self.lineLimit else {
                throw KeyLineError(line: nil, "it has more than \(Self.lineLimit) rules")
            }
            lines.append(Line(number: number, words: words))
        }
        self.lines = lines
    }

    /// What stands before a comment.
    private static func words(of text: String, _ number: Int) throws(KeyLineError) -> [String] {
        var words: [String] = []
        for word in text.unicodeScalars.split(whereSeparator: Self.isBlank) {
            if word.first == "#" { break }
            // Nobody sees it, and it makes a key or a name another one.
            if let unseen = word.first(where: \.isUnseen) {
                throw KeyLineError(
                    line: number, "it holds the character U+\(Self.digits(unseen)), which is not seen; remove it")
            }
            words.append(String(word))
        }
        return words
    }

    /// A tab, and what Unicode has of spaces, such as those without a break that come with text from a web page.
    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "\t" || scalar.properties.generalCategory == .spaceSeparator
    }

    private static func digits(_ scalar: Unicode.Scalar) -> String { Hex.text(scalar.value, digits: 4).uppercased() }
}

/// Why a file about keys cannot be used.
package struct KeyLineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The line that is wrong, from 1; nil: the whole file is.
    package let line: Int?
    /// What is wrong, and what would be right; "it" is the line, or the file.
    package let problem: String

    package init(line: Int?, _ problem: String) {
        self.line = line
        self.problem = problem
    }

    package var description: String { self.line.map { "line \($0): \(self.problem)" } ?? self.problem }
}

extension KeyLines.Line {
    /// The key that the word at `index` names as `SHA256:…`.
    package func fingerprint(at index: Int) throws(KeyLineError) -> CertificateFingerprint {
        guard index < self.words.count else {
            throw KeyLineError(line: self.number, "a key is missing: SHA256: and 43 characters, see --print-identity")
        }
        switch FingerprintWord(self.words[index]) {
        case .fingerprint(let fingerprint): return fingerprint
        case .wrong(let problem): throw KeyLineError(line: self.number, problem)
        }
    }

    /// One `name=value`.
    package typealias Option = (name: String, value: String)

    /// The words `name=value` from `index` on. What comes behind them is a comment, without `#` too; but an option that is
    /// misspelt, or stands behind the comment's first word, is an error and not a part of it: it may have been meant to narrow
    /// what the line allows.
    package func options(from index: Int, known: [String]) throws(KeyLineError) -> [Option] {
        var options: [Option] = []
        var isComment = false
        for word in self.words.dropFirst(index) {
            let option = Self.option(word)
            if let name = known.first(where: { Self.isMisspelt(word, $0, isComment: isComment) }) {
                throw KeyLineError(
                    line: self.number,
                    "'\(word.cut(to: 40))' is not how an option is written: \(name)= and its value, without blanks (a "
                        + "comment that begins like this begins with #)")
            }
            if let option, known.contains(option.name) {
                guard !isComment else {
                    throw KeyLineError(
                        line: self.number, "\(option.name)= stands behind a comment; put it right behind the key")
                }
                options.append(option)
            } else if !isComment, let option {
                let names = known.map { "\($0)=" }.joined(separator: ", ")
                throw KeyLineError(
                    line: self.number,
                    "\(option.name.cut(to: 40))= is unknown here; "
                        + (known.isEmpty ? "there are no options" : "there is \(names)")
                        + " (a comment like this begins with #)")
            } else {
                isComment = true
            }
        }
        return options
    }

    /// Whether a word looks as if it was meant to be the option `name`: that would otherwise be a comment, and narrow nothing.
    private static func isMisspelt(_ word: String, _ name: String, isComment: Bool) -> Bool {
        let lower = word.lowercased()
        if lower.hasPrefix("\(name):") || lower.hasPrefix("\(name)=") && !word.hasPrefix("\(name)=") { return true }
        return !isComment && (lower == name || word.hasPrefix("="))
    }

    /// The word as an option: a name of letters and hyphens before `=`.
    private static func option(_ word: String) -> Option? {
        guard let equals = word.firstIndex(of: "="), equals != word.startIndex else { return nil }
        let name = word[..<equals]
        guard name.unicodeScalars.allSatisfy({ $0 == "-" || $0 == "_" || $0.properties.isAlphabetic }) else {
            return nil
        }
        return (String(name), String(word[word.index(after: equals)...]))
    }
}

/// A word that ought to name a key.
private enum FingerprintWord {
    case fingerprint(CertificateFingerprint)
    /// What is wrong, and what would be right.
    case wrong(String)

    private static let prefix = "SHA256:"
    /// Base64 of 32 bytes without padding (RFC 4648 §4).
    private static let length = 43

    init(_ word: String) {
        if let bytes = Self.hexBytes(word) {
            self = .wrong("the key is in hexadecimal digits, as openssl prints it; write \(bytes)")
            return
        }
        guard word.hasPrefix(Self.prefix) else {
            self = .wrong(
                word.lowercased().hasPrefix("sha256:")
                    ? "a key begins with SHA256: in capital letters"
                    : "'\(word.cut(to: 60))' is no key, which is SHA256: and 43 characters, see --print-identity")
            return
        }
        let digits = word.dropFirst(Self.prefix.count)
        if let other = digits.unicodeScalars.first(where: { !Self.isDigit($0) }) {
            self = Self.wrongDigit(other, digits)
            return
        }
        guard digits.utf8.count == Self.length, let fingerprint = CertificateFingerprint(parsing: word) else {
            self = .wrong(
                "the key has \(digits.utf8.count) characters behind SHA256:, and has to have \(Self.length)"
                    + (digits.utf8.count < Self.length ? "; it may have been cut off" : ""))
            return
        }
        self = .fingerprint(fingerprint)
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII
            && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "+" || scalar == "/")
    }

    private static func wrongDigit(_ scalar: Unicode.Scalar, _ digits: Substring) -> FingerprintWord {
        // As others write the same: with padding (RFC 4648 §3.2), or in the alphabet for URLs (RFC 4648 §5).
        let usual = String(
            digits.prefix { $0 != "=" }.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        if usual.utf8.count == Self.length, let fingerprint = CertificateFingerprint(parsing: Self.prefix + usual) {
            return .wrong(
                (scalar == "=" ? "the key is padded with =" : "the key is in the alphabet of Base64 for URLs")
                    + "; write \(fingerprint)")
        }
        return .wrong("'\(scalar)' cannot be in a key, which is SHA256: and 43 letters, digits, + and /")
    }

    /// 64 hexadecimal digits, with or without colons between and `SHA256:` before them.
    private static func hexBytes(_ word: String) -> CertificateFingerprint? {
        let digits = word.drop(prefix: Self.prefix).filter { $0 != ":" }
        guard digits.utf8.count == 2 * CertificateFingerprint.byteCount else { return nil }
        let values = digits.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        var bytes: [UInt8] = []
        for (high, low) in zip(
            stride(from: 0, to: values.count, by: 2).map { values[$0] },
            stride(from: 1, to: values.count, by: 2).map { values[$0] })
        {
            guard let high, let low else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return CertificateFingerprint(bytes: bytes)
    }
}

extension String {
    fileprivate func drop(prefix: String) -> Substring {
        self.uppercased().hasPrefix(prefix) ? self.dropFirst(prefix.count) : self[...]
    }

    /// For showing it.
    fileprivate func cut(to count: Int) -> String { self.count > count ? self.prefix(count) + "…" : self }
}
