import CAppProto

/// The answer to a request that failed.
package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    package var code: FailureCode
    /// For people; at most 1024 bytes are kept.
    package var reason: String

    package init(code: FailureCode, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    package var description: String { self.reason.isEmpty ? "\(self.code)" : "\(self.code): \(self.reason)" }
}

extension Failure: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Failure>) { rtun__failure__init(pointer) }

    init(_ message: Rtun__Failure) {
        self.code = FailureCode(rawValue: message.code.rawValue) ?? .unspecified
        self.reason = readReason(message.reason)
    }

    func fill(_ message: inout Rtun__Failure, _ arena: Arena) {
        message.code = Rtun__FailureCode(rawValue: self.code.rawValue)
        message.reason = arena.string(self.reason)
    }
}
