import CAppProto

/// The event that ends a peer channel, from either side.
package struct ClosePeer: Hashable, Sendable {
    package var peerID: PeerID
    /// For people; at most 1024 bytes are kept.
    package var reason: String
    package var unknownFields = UnknownFields()

    package init(peerID: PeerID, reason: String = "") {
        self.peerID = peerID
        self.reason = reason
    }
}

extension ClosePeer: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__ClosePeer>) { rtun__close_peer__init(pointer) }

    init(_ message: Rtun__ClosePeer) throws(AppProtoError) {
        self.peerID = try readPeerID(message.peer_id)
        self.reason = readReason(message.reason)
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__ClosePeer, _ arena: Arena) {
        message.peer_id = arena.bytes(self.peerID.bytes)
        message.reason = arena.string(self.reason)
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
