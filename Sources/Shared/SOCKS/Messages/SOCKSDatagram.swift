package import Basics
package import NIOCore

/// A datagram as it travels between a SOCKS 5 client and its UDP relay: the payload behind where it goes to, or comes from
/// (RFC 1928 §7).
///
///     +------+------+------+----------+----------+----------+
///     | RSV  | FRAG | ATYP | DST.ADDR | DST.PORT |   DATA   |
///     |  2   |  1   |  1   | variable |    2     | variable |
///     +------+------+------+----------+----------+----------+
package struct SOCKSDatagram: Hashable, Sendable {
    package let endpoint: Endpoint
    package let payload: ByteBuffer

    package init(endpoint: Endpoint, payload: ByteBuffer) {
        self.endpoint = endpoint
        self.payload = payload
    }

    /// Why a datagram is none, or of no use.
    package enum Failure: Error, Hashable, Sendable {
        /// FRAG is not 0: "an implementation that does not support fragmentation MUST drop" those.
        case fragment
        /// It is cut short, its address is of no known type, its name is no name, or its port is 0.
        case malformed
    }

    /// Longest head, in bytes: with a name of 255.
    package static let longestHead = 4 + 1 + 255 + 2

    /// Reads the readable bytes of `buffer`, which are one datagram. RSV is not looked at, as in requests.
    package init(decoding buffer: ByteBuffer) throws(Failure) {
        var buffer = buffer
        guard let (_, fragment, type) = buffer.readMultipleIntegers(as: (UInt16, UInt8, UInt8).self) else {
            throw .malformed
        }
        guard fragment == 0 else { throw .fragment }
        guard let host = Self.readHost(type, from: &buffer), let port = buffer.readInteger(as: UInt16.self), port != 0
        else { throw .malformed }
        self.init(endpoint: Endpoint(host: host, port: port), payload: buffer)
    }

    private static func readHost(_ type: UInt8, from buffer: inout ByteBuffer) -> Endpoint.Host? {
        switch type {
        case 0x01:
            buffer.readInteger(as: UInt32.self).map { .address(IPAddress(family: .v4, bits: UInt128($0))) }
        case 0x04:
            buffer.readInteger(as: UInt128.self).map { .address(IPAddress(family: .v6, bits: $0)) }
        case 0x03:
            buffer.readLengthPrefixedSlice(as: UInt8.self).flatMap { Endpoint.Host(name: $0.readableBytesView) }
        default:
            nil
        }
    }

    /// How long it is on the wire, in bytes.
    package var encodedLength: Int {
        let address =
            switch self.endpoint.host {
            case .address(let address): address.family.width / 8
            case .name(let name): 1 + name.utf8.count
            }
        return 4 + address + 2 + self.payload.readableBytes
    }

    /// Appends it to `buffer`.
    package func write(into buffer: inout ByteBuffer) {
        // RSV and FRAG.
        buffer.writeMultipleIntegers(0 as UInt16, 0 as UInt8)
        switch self.endpoint.host {
        case .address(let address) where address.family == .v4:
            buffer.writeMultipleIntegers(0x01 as UInt8, UInt32(truncatingIfNeeded: address.bits))
        case .address(let address):
            buffer.writeMultipleIntegers(0x04 as UInt8, address.bits)
        case .name(let name):
            buffer.writeMultipleIntegers(0x03 as UInt8, UInt8(clamping: name.utf8.count))
            buffer.writeString(name)
        }
        buffer.writeInteger(self.endpoint.port)
        buffer.writeImmutableBuffer(self.payload)
    }
}
