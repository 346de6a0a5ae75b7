package import Basics
package import NIOCore

/// What a DATAGRAM frame of a tunnel carries: a datagram of a UDP association, or a piece of one.
///
///     +--------------+---------+- - - - - - - - - - - - - +- - - - - - - - - - - - -+---------+
///     | association  | head    | packet | index, count    | address       | port    | payload |
///     | varint, 1–8  | 1 byte  | 2 bytes| 4 bits each     | 4, 16, 1 + n  | 2 bytes |         |
///     +--------------+---------+- - - - - - - - - - - - - +- - - - - - - - - - - - -+---------+
///
///     head, from the lowest bit: 2 bits type of the address (0 none, 1 IPv4, 2 IPv6, 3 a name behind its length), 1 bit
///     fragment, 5 bits 0
///
/// `packet`, `index` and `count`, which is written as one less, are there in fragments only; address and port everywhere but in
/// fragments behind the first. All numbers are big-endian; the varint is that of RFC 9000 §16.
package struct AssociationFrame: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case datagram(Endpoint, ByteBuffer)
        case fragment(Fragment)
    }

    /// One piece of a datagram.
    package struct Fragment: Hashable, Sendable {
        /// Which datagram of the association.
        package let packet: UInt16
        /// 0 to `count` − 1.
        package let index: Int
        /// 1 to 16.
        package let count: Int
        /// In the first piece.
        package let endpoint: Endpoint?
        package let payload: ByteBuffer

        package init(packet: UInt16, index: Int, count: Int, endpoint: Endpoint?, payload: ByteBuffer) {
            self.packet = packet
            self.index = index
            self.count = count
            self.endpoint = endpoint
            self.payload = payload
        }
    }

    package let association: AssociationID
    package let content: Content

    package init(association: AssociationID, content: Content) {
        self.association = association
        self.content = content
    }

    static let fragmentBit: UInt8 = 0b100

    /// Reads the readable bytes of `buffer`, which are one frame; nil when they are none.
    package init?(decoding buffer: ByteBuffer) {
        var buffer = buffer
        guard let association = buffer.readQUICVarint(), let head = buffer.readInteger(as: UInt8.self), head < 0b1000
        else { return nil }
        self.association = AssociationID(rawValue: association)
        let type = AddressType(rawValue: head & 0b11) ?? .none
        guard head & Self.fragmentBit != 0 else {
            guard let endpoint = buffer.readEndpoint(type) else { return nil }
            self.content = .datagram(endpoint, buffer)
            return
        }
        guard let (packet, place) = buffer.readMultipleIntegers(as: (UInt16, UInt8).self) else { return nil }
        let (index, count) = (Int(place >> 4), Int(place & 0xF) + 1)
        // An empty piece would say nothing.
        guard index < count, (type == .none) == (index > 0) else { return nil }
        let endpoint = index == 0 ? buffer.readEndpoint(type) : nil
        guard (endpoint != nil) == (index == 0), buffer.readableBytes > 0 else { return nil }
        self.content = .fragment(
            Fragment(packet: packet, index: index, count: count, endpoint: endpoint, payload: buffer))
    }

    /// What the frame takes on the wire.
    package func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        switch self.content {
        case .datagram(let endpoint, let payload):
            buffer.reserveCapacity(
                self.association.encodedLength + 1 + endpoint.encodedLength + payload.readableBytes)
            buffer.writeQUICVarint(self.association.rawValue)
            buffer.writeInteger(endpoint.addressType.rawValue)
            buffer.writeEndpoint(endpoint)
            buffer.writeImmutableBuffer(payload)
        case .fragment(let fragment):
            buffer.reserveCapacity(
                self.association.encodedLength + 4 + (fragment.endpoint?.encodedLength ?? 0)
                    + fragment.payload.readableBytes)
            buffer.writeQUICVarint(self.association.rawValue)
            buffer.writeInteger((fragment.endpoint?.addressType ?? .none).rawValue | Self.fragmentBit)
            buffer.writeMultipleIntegers(
                fragment.packet, UInt8(truncatingIfNeeded: fragment.index << 4 | (fragment.count - 1)))
            if let endpoint = fragment.endpoint { buffer.writeEndpoint(endpoint) }
            buffer.writeImmutableBuffer(fragment.payload)
        }
        return buffer
    }
}
