package import NIOCore

/// The envelope of a `Bridge`, written and read without a C message in between: there is one for each datagram that goes
/// through the server.
///
///     0xCA 0x01 length              Envelope.bridge, field 25; no id: an event
///       0x0A 0x10 peer_id           16 bytes
///       0x12 length datagrams
///       0x18 segment_size           left out for one datagram
///
/// Lengths and sizes are varints. This is what protobuf makes of it; a message that says the same in another way is for
/// `Envelope(decoding:)`.
extension Bridge {
    private enum Tag {
        static let bridge = UInt16(0xCA01)
        /// Field 1, and the length of an id.
        static let peerID = UInt16(0x0A10)
        static let datagrams = UInt8(0x12)
        static let segmentSize = UInt8(0x18)
    }

    /// The most that the envelope adds to the datagrams, in bytes; their length and the segment size take up to 3 each.
    package static let envelopeOverhead = 2 + 3 + 18 + (1 + 3) + (1 + 3)

    /// The serialisation of `Envelope(.bridge(self))`. The datagrams are copied once.
    package func envelope() -> ByteBuffer {
        let bytes = self.datagrams.readableBytes
        let segmentSize = self.segmentSize.flatMap { $0 > 0 ? UInt32(clamping: $0) : nil }
        let length =
            18 + 1 + Self.varintSize(UInt32(clamping: bytes)) + bytes
            + (segmentSize.map { 1 + Self.varintSize($0) } ?? 0)
        var buffer = ByteBuffer()
        buffer.reserveCapacity(bytes + Self.envelopeOverhead)
        buffer.writeInteger(Tag.bridge)
        buffer.writeVarint(UInt32(clamping: length))
        buffer.writeInteger(Tag.peerID)
        buffer.writeInteger(self.peerID.high)
        buffer.writeInteger(self.peerID.low)
        buffer.writeInteger(Tag.datagrams)
        buffer.writeVarint(UInt32(clamping: bytes))
        buffer.writeImmutableBuffer(self.datagrams)
        if let segmentSize {
            buffer.writeInteger(Tag.segmentSize)
            buffer.writeVarint(segmentSize)
        }
        return buffer
    }

    /// Reads what `envelope()` writes; nil for every other message. The datagrams share the memory of `message`.
    package init?(envelope message: ByteBuffer) {
        var rest = message
        guard rest.readInteger(as: UInt16.self) == Tag.bridge, rest.readVarint() == rest.readableBytes,
            rest.readInteger(as: UInt16.self) == Tag.peerID,
            let high = rest.readInteger(as: UInt64.self), let low = rest.readInteger(as: UInt64.self),
            rest.readInteger(as: UInt8.self) == Tag.datagrams,
            let length = rest.readVarint(), 1...AppProtoLimits.bridgeDatagrams ~= length,
            let datagrams = rest.readSlice(length: length)
        else { return nil }
        var segmentSize: Int?
        if rest.readableBytes > 0 {
            guard rest.readInteger(as: UInt8.self) == Tag.segmentSize, let size = rest.readVarint(), 1...length ~= size,
                rest.readableBytes == 0
            else { return nil }
            segmentSize = size
        }
        self.init(peerID: PeerID(high: high, low: low), datagrams: datagrams, segmentSize: segmentSize)
    }

    private static func varintSize(_ value: UInt32) -> Int {
        value < 1 << 7 ? 1 : value < 1 << 14 ? 2 : value < 1 << 21 ? 3 : value < 1 << 28 ? 4 : 5
    }
}

extension ByteBuffer {
    /// Seven bits a byte, the lowest first, with the top bit set in all but the last.
    fileprivate mutating func writeVarint(_ value: UInt32) {
        var rest = value
        while rest >= 0x80 {
            self.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.writeInteger(UInt8(truncatingIfNeeded: rest))
    }

    /// A varint of at most three bytes, which is more than any length here takes; nil for anything else.
    fileprivate mutating func readVarint() -> Int? {
        var value = 0
        var shift = 0
        while shift < 21, let byte = self.readInteger(as: UInt8.self) {
            value |= Int(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
