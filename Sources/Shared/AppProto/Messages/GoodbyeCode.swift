/// Why a control connection ends.
package enum GoodbyeCode: UInt32, Hashable, Sendable {
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
    /// Another key, which is kept or listed, holds the name.
    case nameHeld = 9
    /// The server lets in listed keys only, and this one is not listed (any more).
    case keyUnknown = 10
}
