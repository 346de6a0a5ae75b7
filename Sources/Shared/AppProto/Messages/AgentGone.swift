import CAppProto

/// The event that a client gets when an agent it bound is no longer registered.
package struct AgentGone: Hashable, Sendable {
    package var name: String
    package var instanceID: InstanceID
    package var reason: GoneReason

    package init(name: String, instanceID: InstanceID, reason: GoneReason) {
        self.name = name
        self.instanceID = instanceID
        self.reason = reason
    }
}

extension AgentGone: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__AgentGone>) { rtun__agent_gone__init(pointer) }

    init(_ message: Rtun__AgentGone) throws(AppProtoError) {
        self.name = try readString(message.name, "name", length: 1...AppProtoLimits.name)
        self.instanceID = try readInstanceID(message.instance_id, "instance_id")
        self.reason = GoneReason(rawValue: message.reason.rawValue) ?? .unspecified
    }

    func fill(_ message: inout Rtun__AgentGone, _ arena: Arena) {
        message.name = arena.string(self.name)
        message.instance_id = arena.string(self.instanceID.rawValue)
        message.reason = Rtun__GoneReason(rawValue: self.reason.rawValue)
    }
}
