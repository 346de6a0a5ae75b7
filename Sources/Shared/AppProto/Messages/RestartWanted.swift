import CAppProto

/// The event with which an agent asks the client for a `RestartPeer`: its addresses have changed, or its path is lost.
package struct RestartWanted: Hashable, Sendable {
    package var peerID: PeerID
    package var unknownFields = UnknownFields()

    package init(peerID: PeerID) {
        self.peerID = peerID
    }
}

extension RestartWanted: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__RestartWanted>) { rtun__restart_wanted__init(pointer) }

    init(_ message: Rtun__RestartWanted) throws(AppProtoError) {
        self.peerID = try readPeerID(message.peer_id)
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__RestartWanted, _ arena: Arena) {
        message.peer_id = arena.bytes(self.peerID.bytes)
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
