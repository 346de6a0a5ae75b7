/// Why an agent is no longer registered.
package enum GoneReason: UInt32, Hashable, Sendable {
    /// No reason given, or one that this version does not know.
    case unspecified = 0
    case disconnected = 1
    case expired = 2
    case replaced = 3
}
