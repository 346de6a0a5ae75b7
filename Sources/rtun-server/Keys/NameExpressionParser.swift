/// What an expression says.
indirect enum NameExpressionNode {
    case take(CharacterSet)
    case sequence([NameExpressionNode])
    case choice([NameExpressionNode])
    /// `most` nil: any number.
    case repeated(NameExpressionNode, least: Int, most: Int?)
    case atStart
    case atEnd
}

/// Some characters, or all but some.
struct CharacterSet: Sendable {
    enum Part: Sendable {
        case one(Character)
        case range(ClosedRange<Unicode.Scalar>)
        case digit, word, space
        indirect case not(Part)

        func contains(_ character: Character) -> Bool {
            switch self {
            case .one(let other): return character == other
            case .range(let range):
                let scalars = character.unicodeScalars
                return scalars.count == 1 && scalars.first.map(range.contains) ?? false
            case .digit: return Self.category(character) == .decimalNumber
            case .word:
                switch Self.category(character) {
                case .decimalNumber, .connectorPunctuation: return true
                default: return character.unicodeScalars.first?.properties.isAlphabetic ?? false
                }
            case .space: return character.isWhitespace
            case .not(let part): return !part.contains(character)
            }
        }

        private static func category(_ character: Character) -> Unicode.GeneralCategory? {
            character.unicodeScalars.first?.properties.generalCategory
        }
    }

    let parts: [Part]
    var isNegated = false

    /// `.`: a name has no line breaks.
    static let any = CharacterSet(parts: [], isNegated: true)

    func contains(_ character: Character) -> Bool {
        self.parts.contains { $0.contains(character) } != self.isNegated
    }
}

/// Reads an expression. What is not understood is an error, never taken by the letter.
struct NameExpressionParser {
    private static let deepest = 64
    private static let mostRepeats = 1000

    private let characters: [Character]
    private var place = 0
    private var depth = 0
    /// `(?i)` at the beginning.
    private(set) var isCaseInsensitive = false

    init(_ text: String) { self.characters = Array(text) }

    mutating func parse() throws(NameExpressionError) -> NameExpressionNode {
        if self.characters.starts(with: "(?i)") {
            self.isCaseInsensitive = true
            self.place = 4
        }
        let node = try self.choice()
        guard self.next == nil else { throw NameExpressionError("a ) closes nothing") }
        return node
    }

    private var next: Character? { self.place < self.characters.count ? self.characters[self.place] : nil }

    /// Passes over `character`, if it is there.
    private mutating func passes(_ character: Character) -> Bool {
        guard self.next == character else { return false }
        self.place += 1
        return true
    }

    private mutating func choice() throws(NameExpressionError) -> NameExpressionNode {
        var choices = [try self.sequence()]
        while self.passes("|") { choices.append(try self.sequence()) }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    private mutating func sequence() throws(NameExpressionError) -> NameExpressionNode {
        var nodes: [NameExpressionNode] = []
        while let next = self.next, next != "|", next != ")" {
            nodes.append(try self.repeats(of: self.atom()))
        }
        return .sequence(nodes)
    }

    private mutating func repeats(of node: NameExpressionNode) throws(NameExpressionError) -> NameExpressionNode {
        let bounds: (least: Int, most: Int?)
        switch self.next {
        case "*": bounds = (0, nil)
        case "+": bounds = (1, nil)
        case "?": bounds = (0, 1)
        case "{": bounds = try self.bounds()
        default: return node
        }
        self.place += 1
        if case .atStart = node {
            throw NameExpressionError("nothing stands before \(self.characters[self.place - 1])")
        }
        // Whether as much or as little as possible is tried first: a whole name matches, or it does not.
        if !self.passes("?"), let next = self.next, "*+?{".contains(next) {
            throw NameExpressionError(
                next == "+" ? "possessive repeats are not supported" : "\(next) stands behind another repeat")
        }
        return .repeated(node, least: bounds.least, most: bounds.most)
    }

    /// `{2}`, `{2,}`, `{,5}` or `{2,5}`; stops at the brace that closes it.
    private mutating func bounds() throws(NameExpressionError) -> (least: Int, most: Int?) {
        self.place += 1
        let least = self.number()
        let most = self.passes(",") ? self.number() : least
        guard self.next == "}", least != nil || most != nil, least ?? 0 <= most ?? .max,
            max(least ?? 0, most ?? 0) <= Self.mostRepeats
        else {
            throw NameExpressionError(
                "a { begins no repeat such as {2,5}, of at most \(Self.mostRepeats); write \\{ for itself")
        }
        return (least ?? 0, most)
    }

    private mutating func number() -> Int? {
        var number: Int?
        while let digit = self.next?.wholeNumberValue, self.next?.isASCII == true {
            number = min((number ?? 0) * 10 + digit, Self.mostRepeats + 1)
            self.place += 1
        }
        return number
    }

    private mutating func atom() throws(NameExpressionError) -> NameExpressionNode {
        guard let character = self.next else { return .sequence([]) }
        self.place += 1
        switch character {
        case ".": return .take(.any)
        case "^": return .atStart
        case "$": return .atEnd
        case "(": return try self.group()
        case "[": return .take(try self.set())
        case "\\": return try self.escape()
        case "*", "+", "?", "{": throw NameExpressionError("nothing stands before \(character)")
        default: return .take(CharacterSet(parts: [self.part(character)]))
        }
    }

    private func part(_ character: Character) -> CharacterSet.Part {
        .one(self.isCaseInsensitive ? character.lowercased().first ?? character : character)
    }

    private mutating func group() throws(NameExpressionError) -> NameExpressionNode {
        self.depth += 1
        defer { self.depth -= 1 }
        guard self.depth <= Self.deepest else {
            throw NameExpressionError("groups lie more than \(Self.deepest) deep in each other")
        }
        if self.passes("?"), !self.passes(":") {
            throw NameExpressionError(
                "(?\(self.next.map(String.init) ?? "") is not supported: there are (...), (?:...), "
                    + "and (?i) at the beginning")
        }
        let node = try self.choice()
        guard self.passes(")") else { throw NameExpressionError("a ( is not closed") }
        return node
    }

    private mutating func escape() throws(NameExpressionError) -> NameExpressionNode {
        switch self.next {
        case "A":
            self.place += 1
            return .atStart
        case "z", "Z":
            self.place += 1
            return .atEnd
        default: return .take(CharacterSet(parts: [try self.escapedPart()]))
        }
    }

    private mutating func escapedPart() throws(NameExpressionError) -> CharacterSet.Part {
        guard let character = self.next else { throw NameExpressionError("a \\ stands at the end") }
        self.place += 1
        switch character {
        case "d": return .digit
        case "w": return .word
        case "s": return .space
        case "D": return .not(.digit)
        case "W": return .not(.word)
        case "S": return .not(.space)
        case _ where character.isASCII && (character.isLetter || character.isNumber):
            throw NameExpressionError("\\\(character) is not supported")
        default: return .one(character)
        }
    }

    /// What stands between brackets.
    private mutating func set() throws(NameExpressionError) -> CharacterSet {
        let isNegated = self.passes("^")
        var parts: [CharacterSet.Part] = []
        while let character = self.next {
            self.place += 1
            switch character {
            case "]":
                guard !parts.isEmpty else {
                    throw NameExpressionError("a ] right behind [ is written \\]")
                }
                return CharacterSet(parts: parts, isNegated: isNegated)
            case "[": throw NameExpressionError("a [ within brackets is written \\[")
            case "&" where self.next == "&", "~" where self.next == "~", "-" where self.next == "-":
                throw NameExpressionError("\(character)\(character) within brackets is not supported")
            case "\\": parts.append(try self.escapedPart())
            default: parts.append(try self.range(from: character))
            }
        }
        throw NameExpressionError("a [ is not closed")
    }

    private mutating func range(from first: Character) throws(NameExpressionError) -> CharacterSet.Part {
        guard self.next == "-", self.place + 1 < self.characters.count, self.characters[self.place + 1] != "]" else {
            return self.part(first)
        }
        self.place += 1
        var last = self.characters[self.place]
        self.place += 1
        if last == "\\" {
            guard case .one(let escaped) = try self.escapedPart() else {
                throw NameExpressionError("a range ends with one character")
            }
            last = escaped
        }
        guard let low = first.unicodeScalars.first, let high = last.unicodeScalars.first,
            first.unicodeScalars.count == 1, last.unicodeScalars.count == 1, low <= high
        else { throw NameExpressionError("\(first)-\(last) is no range") }
        guard self.isCaseInsensitive, low.isASCII, high.isASCII else { return .range(low...high) }
        return Self.lowercase(low...high)
    }

    /// A name is compared in small letters then.
    private static func lowercase(_ range: ClosedRange<Unicode.Scalar>) -> CharacterSet.Part {
        guard range.lowerBound >= "A", range.upperBound <= "Z",
            let low = Unicode.Scalar(range.lowerBound.value + 32),
            let high = Unicode.Scalar(range.upperBound.value + 32)
        else { return .range(range) }
        return .range(low...high)
    }
}
