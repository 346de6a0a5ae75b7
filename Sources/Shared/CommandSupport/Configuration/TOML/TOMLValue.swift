/// A value of a TOML document.
enum TOMLValue: Equatable, Sendable {
    /// The kinds of a point in time, by the names that toml-test has for them.
    enum TimeKind: String, Sendable {
        case date = "date-local"
        case time = "time-local"
        case dateTime = "datetime-local"
        case offsetDateTime = "datetime"
    }

    case string(String)
    case integer(Int64)
    case float(Double)
    case boolean(Bool)
    /// As RFC 3339 writes it.
    case time(TimeKind, String)
    case array([TOMLElement])
    case table(TOMLTable)
}

/// One element of an array.
struct TOMLElement: Equatable, Sendable {
    let value: TOMLValue
    /// Where it begins, counted from 1.
    let line: Int
}

/// One `key = value`, or a table with its name.
struct TOMLEntry: Equatable, Sendable {
    let key: String
    let value: TOMLValue
    /// Where the key stands, counted from 1.
    let line: Int
}

/// A table, also the document's.
struct TOMLTable: Equatable, Sendable {
    /// In the order of the text.
    var entries: [TOMLEntry] = []
}

/// Why a text cannot be read.
struct TOMLError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1.
    let line: Int
    let problem: String

    var description: String { "line \(self.line): \(self.problem)" }
}
