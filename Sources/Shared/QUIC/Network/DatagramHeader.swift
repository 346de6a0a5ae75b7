internal import CNgtcp2
import NIOCore

/// The part of a QUIC packet's header that says which connection a datagram is for (RFC 8999).
enum DatagramHeader {
    /// A packet with a short header, or a long one of a version that we speak.
    case packet(destinationID: ConnectionID, isShort: Bool)
    /// A long header of another version. Its ids may be up to 255 bytes long.
    case unknownVersion(destinationID: [UInt8], sourceID: [UInt8])

    /// Whether a datagram's first byte is one of QUIC's (RFC 9443 §3); the rest belongs to STUN, DTLS and others.
    static func isQUIC(firstByte: UInt8) -> Bool {
        64...127 ~= firstByte || 192...255 ~= firstByte
    }

    /// Whether a datagram begins with a packet of the handshake (RFC 9000 §17.2).
    static func isLong(_ datagram: ByteBuffer) -> Bool {
        (datagram.getInteger(at: datagram.readerIndex, as: UInt8.self) ?? 0) & 0x80 != 0
    }

    /// Nil when the bytes are no QUIC packet.
    init?(_ datagram: UnsafeRawBufferPointer) {
        var ids = ngtcp2_version_cid()
        let bytes = datagram.bindMemory(to: UInt8.self)
        let code = ngtcp2_pkt_decode_version_cid(&ids, bytes.baseAddress, bytes.count, ConnectionID.localLength)
        let isShort = (datagram.first ?? 0) & 0x80 == 0
        switch code {
        // Version Negotiation, which must not be answered with another (RFC 9000 §6.1).
        case 0 where !isShort && ids.version == 0:
            return nil
        // ngtcp2 knows a draft of version 2 as well, with other types of packets.
        case NGTCP2_ERR_VERSION_NEGOTIATION,
            0 where !isShort && ids.version != CNgtcp2_version_1():
            self = .unknownVersion(
                destinationID: Array(UnsafeBufferPointer(start: ids.dcid, count: ids.dcidlen)),
                sourceID: Array(UnsafeBufferPointer(start: ids.scid, count: ids.scidlen)))
        case 0:
            guard ids.dcidlen <= ConnectionID.maxLength else { return nil }
            self = .packet(
                destinationID: ConnectionID(UnsafeRawBufferPointer(start: ids.dcid, count: ids.dcidlen)),
                isShort: isShort)
        default:
            return nil
        }
    }
}
