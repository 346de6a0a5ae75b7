import CAppProto

/// Why a side ends the control connection; the last message on it.
package struct Goodbye: Hashable, Sendable {
    package enum Code: UInt32, Hashable, Sendable {
        /// No code given, or one that this version does not know.
        case unspecified = 0
        /// The proof of the secret failed.
        case auth = 1
        /// A newer agent registered under the same name.
        case replaced = 2
        /// The registration's time is over.
        case expired = 3
        /// No common protocol version.
        case version = 4
        /// What arrived breaks the protocol.
        case badRequest = 5
        /// The server is stopping: reconnect.
        case shutdown = 6
        /// The channel binding is missing or not acceptable here.
        case binding = 7
        /// Too many sessions or failed attempts: come back later.
        case limit = 8
    }

    package var code: Code
    /// For people; at most 1024 bytes are kept.
    package var reason: String

    package init(code: Code, reason: String = "") {
        self.code = code
        self.reason = reason
    }
}

extension Goodbye: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Goodbye>) { rtun__goodbye__init(pointer) }

    init(_ message: Rtun__Goodbye) {
        self.code = Code(rawValue: message.code.rawValue) ?? .unspecified
        self.reason = readReason(message.reason)
    }

    func fill(_ message: inout Rtun__Goodbye, _ arena: Arena) {
        message.code = Rtun__GoodbyeCode(rawValue: self.code.rawValue)
        message.reason = arena.string(self.reason)
    }
}
