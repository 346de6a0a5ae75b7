/// Why a `SignalClient` gave up for good.
package enum SignalTerminal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The shared secret is wrong, or there is a man in the middle. `detail` says who found out and how.
    case refused(detail: String)
    /// The server lets in listed keys only. `detail` says which line is missing.
    case keyUnknown(detail: String)
    /// A newer agent registered under the same name.
    case replaced(name: String)
    /// The time of the registration is over.
    case expired(name: String)
    /// `stop()` was called, or the task of `run()` cancelled.
    case stopped

    package var description: String {
        switch self {
        case .refused(let detail), .keyUnknown(let detail):
            detail
        case .replaced(let name):
            "replaced: another agent has registered under the name \"\(name)\"; give each agent a name of its own with --agent"
        case .expired(let name):
            "the registration of agent \"\(name)\" has expired"
        case .stopped:
            "stopped"
        }
    }
}
