import CAppProto
package import NIOCore

/// Datagrams of a peer channel on their way through the server, an event in both directions.
package struct Bridge: Hashable, Sendable {
    package var peerID: PeerID
    /// One datagram, or with `segmentSize` several one after the other; 1 to `AppProtoLimits.bridgeDatagrams` bytes.
    package var datagrams: ByteBuffer
    /// The size of each datagram but the last, which may be smaller, in bytes; nil when there is one.
    package var segmentSize: Int?

    package init(peerID: PeerID, datagrams: ByteBuffer, segmentSize: Int? = nil) {
        self.peerID = peerID
        self.datagrams = datagrams
        self.segmentSize = segmentSize
    }
}

extension Bridge: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__Bridge>) { rtun__bridge__init(pointer) }

    init(_ message: Rtun__Bridge) throws(AppProtoError) {
        self.peerID = try readPeerID(message.peer_id)
        guard 1...AppProtoLimits.bridgeDatagrams ~= message.datagrams.len else {
            throw .invalidField("datagrams", expected: "1 to \(AppProtoLimits.bridgeDatagrams) bytes")
        }
        self.datagrams = ByteBuffer(
            bytes: UnsafeRawBufferPointer(start: message.datagrams.data, count: message.datagrams.len))
        guard Int(message.segment_size) <= message.datagrams.len else {
            throw .invalidField("segment_size", expected: "no more than the length of datagrams")
        }
        self.segmentSize = message.segment_size == 0 ? nil : Int(message.segment_size)
    }

    func fill(_ message: inout Rtun__Bridge, _ arena: Arena) {
        message.peer_id = arena.bytes(self.peerID.bytes)
        message.datagrams = arena.bytes(self.datagrams)
        message.segment_size = UInt32(clamping: self.segmentSize ?? 0)
    }
}
