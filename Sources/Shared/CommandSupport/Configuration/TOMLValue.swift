/// A value of a configuration file. Numbers stay text: the option that they are for knows what they must be.
enum TOMLValue: Equatable, Sendable {
    case string(String)
    case number(String)
    case boolean(Bool)
    case array([TOMLValue])
}

/// One `key = value`.
struct TOMLEntry: Equatable, Sendable {
    let key: String
    let value: TOMLValue
    /// Counted from 1.
    let line: Int
}

/// One `[name]` and what follows it.
struct TOMLTable: Equatable, Sendable {
    let name: String
    let line: Int
    /// In the order of the file.
    var entries: [TOMLEntry] = []
}

/// Why a text cannot be read.
struct TOMLError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1.
    let line: Int
    let problem: String

    var description: String { "line \(self.line): \(self.problem)" }
}
