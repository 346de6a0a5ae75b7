package import Basics
import CAppProto

/// One registered agent, as clients see it.
package struct AgentInfo: Hashable, Sendable {
    package var name: String
    package var instanceID: InstanceID
    /// Unix time in milliseconds at which the registration ends; 0 for never.
    package var expireAtMilliseconds: UInt64
    /// The agent's address as the server sees it, `ip:port` or `[ip]:port`.
    package var address: String
    /// Name and version of the program, for people.
    package var software: String
    package var labels: [String: String]
    /// What the agent has found out about the NAT in front of it.
    package var mapping = MappingBehavior.unknown
    /// The key that it has proved to the server; nil: it is of an older version, or the server is.
    package var key: ProvedKey?
    /// Whether the server lets in listed keys only; this is one of them then.
    package var isKeyListed = false

    package init(
        name: String, instanceID: InstanceID, expireAtMilliseconds: UInt64 = 0, address: String, software: String,
        labels: [String: String] = [:], key: ProvedKey? = nil
    ) {
        self.name = name
        self.instanceID = instanceID
        self.expireAtMilliseconds = expireAtMilliseconds
        self.address = address
        self.software = software
        self.labels = labels
        self.key = key
    }
}

extension AgentInfo {
    /// Length of the serialisation, in bytes.
    package var encodedSize: Int {
        let arena = Arena()
        return withExtendedLifetime(arena) { rtun__agent_info__get_packed_size(arena.message(self)) }
    }
}

extension AgentInfo: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__AgentInfo>) { rtun__agent_info__init(pointer) }

    init(_ message: Rtun__AgentInfo) throws(AppProtoError) {
        self.name = try readString(message.name, "name", length: 1...AppProtoLimits.name)
        self.instanceID = try readInstanceID(message.instance_id, "instance_id")
        self.expireAtMilliseconds = message.expire_at_ms
        self.address = try readString(message.address, "address", length: 0...AppProtoLimits.name)
        self.software = try readString(message.software, "software", length: 0...AppProtoLimits.name)
        self.labels = Label.dictionary(
            try readMessages(
                message.labels, count: message.n_labels, "labels", limit: AppProtoLimits.labels,
                as: AgentInfoLabel.self
            ).map(\.label))
        self.mapping = MappingBehavior(message.mapping)
        self.key = try ProvedKey(fingerprint: message.fingerprint, isKept: message.key_kept)
        self.isKeyListed = message.key_listed != 0
    }

    func fill(_ message: inout Rtun__AgentInfo, _ arena: Arena) {
        message.name = arena.string(self.name)
        message.instance_id = arena.string(self.instanceID.rawValue)
        message.expire_at_ms = self.expireAtMilliseconds
        message.address = arena.string(self.address)
        message.software = arena.string(self.software)
        message.n_labels = self.labels.count
        message.labels = arena.messages(Label.sorted(self.labels).map { AgentInfoLabel(label: $0) })
        message.mapping = self.mapping.wireValue
        message.fingerprint = arena.bytes(self.key?.fingerprint.bytes ?? [])
        message.key_kept = self.key?.isKept == true ? 1 : 0
        message.key_listed = self.isKeyListed ? 1 : 0
    }
}

/// The entry type that protobuf makes for `AgentInfo.labels`.
private struct AgentInfoLabel: WireMessage {
    var label: Label

    init(label: Label) {
        self.label = label
    }

    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__AgentInfo__LabelsEntry>) {
        rtun__agent_info__labels_entry__init(pointer)
    }

    init(_ message: Rtun__AgentInfo__LabelsEntry) throws(AppProtoError) {
        self.label = try Label(key: message.key, value: message.value)
    }

    func fill(_ message: inout Rtun__AgentInfo__LabelsEntry, _ arena: Arena) {
        message.key = arena.string(self.label.key)
        message.value = arena.string(self.label.value)
    }
}
