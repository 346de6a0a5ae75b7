/// ERROR-CODE (RFC 8489 §14.8): a number from 300 to 699 and a phrase for people.
package struct STUNErrorCode: Hashable, Sendable {
    /// 300...699
    package let code: Int
    /// At most 127 characters, possibly empty.
    package let reason: String

    /// Nil when `code` is outside 300...699.
    package init?(code: Int, reason: String = "") {
        guard 300...699 ~= code else {
            return nil
        }
        self.code = code
        self.reason = String(reason.prefix(127))
    }

    private init(known code: Int, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    package static let badRequest = STUNErrorCode(known: 400, "Bad Request")
    package static let unauthenticated = STUNErrorCode(known: 401, "Unauthenticated")
    package static let unknownAttribute = STUNErrorCode(known: 420, "Unknown Attribute")
    /// RFC 8445 §7.3.1.1
    package static let roleConflict = STUNErrorCode(known: 487, "Role Conflict")

    /// Two codes are about the same error whatever phrase comes with them.
    package static func ~= (pattern: STUNErrorCode, value: STUNErrorCode) -> Bool {
        pattern.code == value.code
    }
}

extension STUNErrorCode: CustomStringConvertible {
    /// The code, and its phrase with control characters left out: it comes from outside.
    package var description: String {
        let phrase = self.reason.unicodeScalars.filter { !$0.properties.isControl }
        return phrase.isEmpty ? "\(self.code)" : "\(self.code) \(String(String.UnicodeScalarView(phrase)))"
    }
}

extension Unicode.Scalar.Properties {
    /// C0 and C1 controls, and anything that moves or hides text (RFC 8489 lets a reason be any UTF-8).
    fileprivate var isControl: Bool {
        switch self.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }
}
