/// Why an agent is no longer registered.
package enum GoneReason: UInt32, Hashable, Sendable {
    /// No reason given, or one that this version does not know.
    case unspecified = 0
    /// The control connection was lost; the agent may come back.
    case disconnected = 1
    case expired = 2
    case replaced = 3
    /// The agent said goodbye: it was asked to stop.
    case stopped = 4
    /// Its key is not listed at the server any more, or the client may not use it any more.
    case removed = 5
}
