import CAppProto

/// Why a side ends the control connection; the last message on it.
package struct Goodbye: Hashable, Sendable {
    package var code: GoodbyeCode
    /// For people; at most 1024 bytes are kept.
    package var reason: String

    package init(code: GoodbyeCode, reason: String = "") {
        self.code = code
        self.reason = reason
    }
}

extension Goodbye: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Goodbye>) { rtun__goodbye__init(pointer) }

    init(_ message: Rtun__Goodbye) {
        self.code = GoodbyeCode(rawValue: message.code.rawValue) ?? .unspecified
        self.reason = readReason(message.reason)
    }

    func fill(_ message: inout Rtun__Goodbye, _ arena: Arena) {
        message.code = Rtun__GoodbyeCode(rawValue: self.code.rawValue)
        message.reason = arena.string(self.reason)
    }
}
