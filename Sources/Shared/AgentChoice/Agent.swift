/// One run of one agent: what a client is bound to. A restarted agent keeps its name and is another one all the same.
package struct AgentKey: Hashable, Sendable {
    package var name: String
    /// The instance id that the server has given it.
    package var instance: String

    package init(name: String, instance: String) {
        self.name = name
        self.instance = instance
    }
}

/// An agent as the choice sees it.
package struct Agent: Hashable, Sendable {
    package var key: AgentKey
    /// When its registration ends, in milliseconds since 1970; nil: never.
    package var expiry: UInt64?

    package init(key: AgentKey, expiry: UInt64? = nil) {
        self.key = key
        self.expiry = expiry
    }

    package var name: String { self.key.name }
}

/// Why an agent is not registered any more. The cases' names stand in logs.
package enum AgentDeparture: Hashable, Sendable {
    case unspecified
    /// It has lost its control connection, and may come back.
    case disconnected
    case expired
    case replaced
    case stopped
    /// The server does not let this client use it any more.
    case removed

    /// Whether the agent has left for good, so that nothing new should be begun in its channel.
    package var isFinal: Bool {
        switch self {
        case .unspecified, .disconnected: false
        case .expired, .replaced, .stopped, .removed: true
        }
    }
}
