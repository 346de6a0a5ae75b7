import CAppProto

/// What an agent asks to be registered as.
package struct AgentRegistration: Hashable, Sendable {
    /// 1 to 255 bytes of printable UTF-8.
    package var name: String
    /// Length of the registration in milliseconds; 0 for one without end.
    package var expireInMilliseconds: UInt64
    /// At most 64 labels, shown to clients.
    package var labels: [String: String]
    /// Of the last `Welcome` of this process, or empty. Servers ask for it where no key is proved.
    package var resumeToken: [UInt8]
    /// The process's own; nil from programs that prove no key.
    package var process: AgentProcess?

    package init(
        name: String, expireInMilliseconds: UInt64 = 0, labels: [String: String] = [:], resumeToken: [UInt8] = [],
        process: AgentProcess? = nil
    ) {
        self.name = name
        self.expireInMilliseconds = expireInMilliseconds
        self.labels = labels
        self.resumeToken = resumeToken
        self.process = process
    }
}

extension AgentRegistration: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__AgentRegistration>) {
        rtun__agent_registration__init(pointer)
    }

    init(_ message: Rtun__AgentRegistration) throws(AppProtoError) {
        self.name = try readString(message.name, "name", length: 1...AppProtoLimits.name)
        self.expireInMilliseconds = message.expire_in_ms
        self.labels = Label.dictionary(
            try readMessages(
                message.labels, count: message.n_labels, "labels", limit: AppProtoLimits.labels,
                as: AgentRegistrationLabel.self
            ).map(\.label))
        self.resumeToken = try readBytes(message.resume_token, "resume_token", length: 0...AppProtoLimits.resumeToken)
        let nonce = try readOptionalBytes(
            message.process_nonce, "process_nonce", length: AppProtoLimits.processNonce)
        self.process =
            nonce.isEmpty
            ? nil
            : AgentProcess(
                nonce: nonce, aliveMilliseconds: message.alive_ms, isReturning: message.returning != 0)
    }

    func fill(_ message: inout Rtun__AgentRegistration, _ arena: Arena) {
        message.name = arena.string(self.name)
        message.expire_in_ms = self.expireInMilliseconds
        message.n_labels = self.labels.count
        message.labels = arena.messages(Label.sorted(self.labels).map { AgentRegistrationLabel(label: $0) })
        message.resume_token = arena.bytes(self.resumeToken)
        message.process_nonce = arena.bytes(self.process?.nonce ?? [])
        message.alive_ms = self.process?.aliveMilliseconds ?? 0
        message.returning = self.process?.isReturning == true ? 1 : 0
    }
}

/// The entry type that protobuf makes for `AgentRegistration.labels`.
private struct AgentRegistrationLabel: WireMessage {
    var label: Label

    init(label: Label) {
        self.label = label
    }

    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__AgentRegistration__LabelsEntry>) {
        rtun__agent_registration__labels_entry__init(pointer)
    }

    init(_ message: Rtun__AgentRegistration__LabelsEntry) throws(AppProtoError) {
        self.label = try Label(key: message.key, value: message.value)
    }

    func fill(_ message: inout Rtun__AgentRegistration__LabelsEntry, _ arena: Arena) {
        message.key = arena.string(self.label.key)
        message.value = arena.string(self.label.value)
    }
}
