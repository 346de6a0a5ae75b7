/// Why bytes from the other side are not a message of `proto/app.proto`.
package enum AppProtoError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not a serialisation of `message`, or one that would take an unreasonable amount of memory.
    case malformed(message: String)
    /// Longer than `AppProtoLimits.envelope`.
    case tooLarge(bytes: Int, limit: Int)
    /// A field is missing or its value is out of range; `expected` says what would be right.
    case invalidField(String, expected: String)

    package var description: String {
        switch self {
        case .malformed(let message): "malformed \(message) message"
        case .tooLarge(let bytes, let limit): "message of \(bytes) bytes is longer than the limit of \(limit) bytes"
        case .invalidField(let field, let expected): "field \(field) is not valid: expected \(expected)"
        }
    }
}
