import Basics

/// The little of JSON (RFC 8259) that the server writes.
enum JSON {
    case string(String)
    case integer(UInt64)
    case boolean(Bool)
    case null
    case array([JSON])
    /// Members in this order.
    case object([(String, JSON)])

    var text: String {
        var text = ""
        self.write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .string(let value): text += value.quoted()
        case .integer(let value): text += "\(value)"
        case .boolean(let value): text += "\(value)"
        case .null: text += "null"
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                text += member.0.quoted()
                text += ":"
                member.1.write(to: &text)
            }
            text += "}"
        }
    }
}
