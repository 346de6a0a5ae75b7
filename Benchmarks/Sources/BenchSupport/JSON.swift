/// A JSON value to print (RFC 8259): what the programs report with.
public enum JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, CustomStringConvertible {
    case null
    case integer(Int)
    /// Printed with three decimals; not a number and infinity, which JSON lacks, as null.
    case number(Double)
    case string(String)
    case array([JSON])
    /// In the order given.
    case object(KeyValuePairs<String, JSON>)

    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }

    public var description: String {
        switch self {
        case .null: "null"
        case .integer(let value): "\(value)"
        case .number(let value): value.isFinite ? Self.decimals(value) : "null"
        case .string(let value): Self.quoted(value)
        case .array(let values): "[\(values.map(\.description).joined(separator: ", "))]"
        case .object(let pairs):
            "{\(pairs.map { "\(Self.quoted($0.key)): \($0.value)" }.joined(separator: ", "))}"
        }
    }

    private static func decimals(_ value: Double) -> String {
        guard value.magnitude < 1e15 else { return "\(value)" }
        return "\((value * 1000).rounded() / 1000)"
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
