import AgentChoice
import AppProto

extension Agent {
    /// What the server's list says of it.
    init(_ info: AgentInfo) {
        let expiry = info.expireAtMilliseconds
        self.init(key: AgentKey(info.name, info.instanceID), expiry: expiry == 0 ? nil : expiry)
    }
}

extension AgentKey {
    init(_ name: String, _ instance: InstanceID) {
        self.init(name: name, instance: instance.rawValue)
    }

    /// The instance as messages have it, where this key was made from one.
    var instanceID: InstanceID {
        guard let id = InstanceID(rawValue: self.instance) else { preconditionFailure("a key is made from an id") }
        return id
    }
}

extension AgentDeparture {
    init(_ reason: GoneReason) {
        self =
            switch reason {
            case .unspecified: .unspecified
            case .disconnected: .disconnected
            case .expired: .expired
            case .replaced: .replaced
            case .stopped: .stopped
            case .removed: .removed
            }
    }
}
