import CAppProto

/// The agent's answer to `OpenPeer`.
package struct OpenPeerReply: Hashable, Sendable {
    package var peerID: PeerID
    package var ice: IceParameters
    /// Those known already, at most 64; the rest trickle.
    package var candidates: [Candidate]
    /// SHA-256 of the agent's certificate in DER, 32 bytes.
    package var fingerprint: [UInt8]
    /// 32 bytes with an end-to-end secret, else empty.
    package var e2eMAC: [UInt8]
    /// As in `OpenPeer`.
    package var bridge = false
    /// As in `OpenPeer`.
    package var paddedChecks = false
    package var unknownFields = UnknownFields()

    package init(
        peerID: PeerID, ice: IceParameters, candidates: [Candidate] = [], fingerprint: [UInt8], e2eMAC: [UInt8] = []
    ) {
        self.peerID = peerID
        self.ice = ice
        self.candidates = candidates
        self.fingerprint = fingerprint
        self.e2eMAC = e2eMAC
    }
}

extension OpenPeerReply: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__OpenPeerReply>) {
        rtun__open_peer_reply__init(pointer)
    }

    init(_ message: Rtun__OpenPeerReply) throws(AppProtoError) {
        self.peerID = try readPeerID(message.peer_id)
        self.ice = try readMessage(message.ice, "ice")
        self.candidates = try readMessages(
            message.candidates, count: message.n_candidates, "candidates", limit: AppProtoLimits.candidates)
        self.fingerprint = try readBytes(message.fingerprint, "fingerprint", length: 32...32)
        self.e2eMAC = try readOptionalBytes(message.e2e_mac, "e2e_mac", length: 32)
        self.bridge = message.bridge != 0
        self.paddedChecks = message.padded_checks != 0
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__OpenPeerReply, _ arena: Arena) {
        message.peer_id = arena.bytes(self.peerID.bytes)
        message.ice = arena.message(self.ice)
        message.n_candidates = self.candidates.count
        message.candidates = arena.messages(self.candidates)
        message.fingerprint = arena.bytes(self.fingerprint)
        message.e2e_mac = arena.bytes(self.e2eMAC)
        message.bridge = self.bridge ? 1 : 0
        message.padded_checks = self.paddedChecks ? 1 : 0
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
