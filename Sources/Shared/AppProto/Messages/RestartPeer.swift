import CAppProto

/// A client's request for a new ICE session on a channel that lives (RFC 8445 §9). The server passes it on to the
/// agent, and gives the channel its route back if that was lost along with a control connection.
package struct RestartPeer: Hashable, Sendable {
    package var peerID: PeerID
    package var name: String
    package var instanceID: InstanceID
    /// Counts the ICE sessions of the channel: 0 is that of the offer. The one that is there already: nothing but the
    /// route through the server is asked for.
    package var generation: UInt32
    package var ice: IceParameters
    /// Those known already, at most 64; the rest trickle.
    package var candidates: [Candidate]
    /// 32 bytes with an end-to-end secret, else empty.
    package var e2eMAC: [UInt8]
    /// As in `OpenPeer`.
    package var bridge = false
    package var unknownFields = UnknownFields()

    package init(
        peerID: PeerID, name: String, instanceID: InstanceID, generation: UInt32, ice: IceParameters,
        candidates: [Candidate] = [], e2eMAC: [UInt8] = []
    ) {
        self.peerID = peerID
        self.name = name
        self.instanceID = instanceID
        self.generation = generation
        self.ice = ice
        self.candidates = candidates
        self.e2eMAC = e2eMAC
    }
}

extension RestartPeer: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__RestartPeer>) { rtun__restart_peer__init(pointer) }

    init(_ message: Rtun__RestartPeer) throws(AppProtoError) {
        self.peerID = try readPeerID(message.peer_id)
        self.name = try readString(message.name, "name", length: 1...AppProtoLimits.name)
        self.instanceID = try readInstanceID(message.instance_id, "instance_id")
        self.generation = message.generation
        self.ice = try readMessage(message.ice, "ice")
        self.candidates = try readMessages(
            message.candidates, count: message.n_candidates, "candidates", limit: AppProtoLimits.candidates)
        self.e2eMAC = try readOptionalBytes(message.e2e_mac, "e2e_mac", length: 32)
        self.bridge = message.bridge != 0
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__RestartPeer, _ arena: Arena) {
        message.peer_id = arena.bytes(self.peerID.bytes)
        message.name = arena.string(self.name)
        message.instance_id = arena.string(self.instanceID.rawValue)
        message.generation = self.generation
        message.ice = arena.message(self.ice)
        message.n_candidates = self.candidates.count
        message.candidates = arena.messages(self.candidates)
        message.e2e_mac = arena.bytes(self.e2eMAC)
        message.bridge = self.bridge ? 1 : 0
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
