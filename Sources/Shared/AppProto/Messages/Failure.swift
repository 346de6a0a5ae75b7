import CAppProto

/// The answer to a request that failed.
package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: UInt32, Hashable, Sendable {
        /// No code given, or one that this version does not know.
        case unspecified = 0
        /// The receiver does not know this body.
        case unsupported = 1
        case badRequest = 2
        /// No agent of that name.
        case notFound = 3
        /// An agent of that name, but another instance.
        case instanceMismatch = 4
        /// It left before it answered.
        case agentGone = 5
        case timedOut = 6
        /// The agent does not want this peer: a limit, or a missing or wrong end-to-end proof.
        case refused = 7
        /// The agent does not speak this kind of peer channel.
        case kindUnsupported = 8
        case `internal` = 9
    }

    package var code: Code
    /// For people; at most 1024 bytes are kept.
    package var reason: String

    package init(code: Code, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    package var description: String { self.reason.isEmpty ? "\(self.code)" : "\(self.code): \(self.reason)" }
}

extension Failure: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Failure>) { rtun__failure__init(pointer) }

    init(_ message: Rtun__Failure) {
        self.code = Code(rawValue: message.code.rawValue) ?? .unspecified
        self.reason = readReason(message.reason)
    }

    func fill(_ message: inout Rtun__Failure, _ arena: Arena) {
        message.code = Rtun__FailureCode(rawValue: self.code.rawValue)
        message.reason = arena.string(self.reason)
    }
}
