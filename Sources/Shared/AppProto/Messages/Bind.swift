import CAppProto

/// A client's request to be told at once when an agent goes.
package struct Bind: Hashable, Sendable {
    package var name: String
    /// `nil`: whichever instance holds the name.
    package var instanceID: InstanceID?

    package init(name: String, instanceID: InstanceID? = nil) {
        self.name = name
        self.instanceID = instanceID
    }
}

extension Bind: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Bind>) { rtun__bind__init(pointer) }

    init(_ message: Rtun__Bind) throws(AppProtoError) {
        self.name = try readString(message.name, "name", length: 1...AppProtoLimits.name)
        self.instanceID = try readOptionalInstanceID(message.instance_id, "instance_id")
    }

    func fill(_ message: inout Rtun__Bind, _ arena: Arena) {
        message.name = arena.string(self.name)
        message.instance_id = arena.string(self.instanceID?.rawValue ?? "")
    }
}

/// The answer to `Bind`.
package struct Bound: Hashable, Sendable {
    package var agent: AgentInfo

    package init(agent: AgentInfo) {
        self.agent = agent
    }
}

extension Bound: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Bound>) { rtun__bound__init(pointer) }

    init(_ message: Rtun__Bound) throws(AppProtoError) {
        self.agent = try readMessage(message.agent, "agent")
    }

    func fill(_ message: inout Rtun__Bound, _ arena: Arena) {
        message.agent = arena.message(self.agent)
    }
}
