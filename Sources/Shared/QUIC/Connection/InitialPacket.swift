internal import CNgtcp2
import NIOCore

/// The header of a client's first packet, which a server makes a connection from (RFC 9000 §17.2.2).
struct InitialPacket {
    let version: UInt32
    let destinationID: ConnectionID
    let sourceID: ConnectionID
    /// The token that the client carries, empty at the first attempt.
    let token: ByteBuffer
    /// Set when `token` is one of our Retry tokens; `originalDestinationID` is then the one before the Retry.
    var answersRetry = false
    var originalDestinationID: ConnectionID

    /// Reads the header; nil when the datagram does not start with an acceptable Initial packet of at least 1200
    /// bytes (RFC 9000 §14.1).
    init?(_ datagram: UnsafeRawBufferPointer) {
        guard datagram.count >= Int(NGTCP2_MAX_UDP_PAYLOAD_SIZE) else { return nil }
        var header = ngtcp2_pkt_hd()
        let bytes = datagram.bindMemory(to: UInt8.self)
        guard ngtcp2_accept(&header, bytes.baseAddress, bytes.count) == 0,
            header.type == UInt8(NGTCP2_PKT_INITIAL.rawValue), header.version == CNgtcp2_version_1()
        else { return nil }
        self.version = header.version
        self.destinationID = ConnectionID(header.dcid)
        self.sourceID = ConnectionID(header.scid)
        self.originalDestinationID = self.destinationID
        // The token points into the datagram, which is the caller's.
        self.token = ByteBuffer(bytes: UnsafeBufferPointer(start: header.token, count: header.tokenlen))
    }
}
