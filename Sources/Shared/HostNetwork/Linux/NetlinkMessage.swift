import CLinuxNetlink
import NIOCore

/// One message of rtnetlink(7), numbers in the machine's byte order:
///
///      0               4       6       8               12              16
///     +---------------+-------+-------+---------------+---------------+----------
///     | length        | type  | flags | sequence      | port          | payload …
///     +---------------+-------+-------+---------------+---------------+----------
///
/// The length counts the header; the next message begins at a multiple of 4.
struct NetlinkMessage {
    let type: CInt
    /// What follows the header: a structure of the type, and attributes.
    var payload: ByteBuffer

    private static let headerSize = 16

    /// A question to the kernel. `flags` besides `NLM_F_REQUEST`.
    static func request(_ type: CInt, flags: CInt = 0, _ payload: ByteBuffer) -> ByteBuffer {
        var message = ByteBuffer()
        message.writeHost(UInt32(clamping: self.headerSize + payload.readableBytes))
        message.writeHost(UInt16(clamping: type))
        message.writeHost(UInt16(clamping: NLM_F_REQUEST | flags))
        message.writeHost(UInt32(0))
        message.writeHost(UInt32(0))
        message.writeImmutableBuffer(payload)
        return message
    }

    /// The first message of `bytes`, which it is removed from. Nil at the end, and for what is no message.
    init?(readingFrom bytes: inout ByteBuffer) {
        guard bytes.readableBytes >= Self.headerSize, let length = bytes.readHost(UInt32.self).map(Int.init),
            let type = bytes.readHost(UInt16.self), length >= Self.headerSize
        else { return nil }
        bytes.moveReaderIndex(forwardBy: 10)
        guard let payload = bytes.readPaddedSlice(length: length - Self.headerSize) else { return nil }
        self.type = CInt(type)
        self.payload = payload
    }
}

extension ByteBuffer {
    /// One attribute, which is removed: its length with this header, u16, its type, u16, and its value, filled up to a
    /// multiple of 4. Nil at the end, and for what is no attribute.
    mutating func readNetlinkAttribute() -> (type: CInt, value: ByteBuffer)? {
        guard let length = self.readHost(UInt16.self), let type = self.readHost(UInt16.self), length >= 4,
            let value = self.readPaddedSlice(length: Int(length) - 4)
        else { return nil }
        return (CInt(type), value)
    }

    /// Appends an attribute of at most 64 KiB.
    mutating func writeNetlinkAttribute(_ type: CInt, _ value: [UInt8]) {
        self.writeHost(UInt16(clamping: 4 + value.count))
        self.writeHost(UInt16(clamping: type))
        self.writeBytes(value)
        self.writeRepeatingByte(0, count: -value.count & 3)
    }

    mutating func readHost<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        self.readInteger(endianness: .host, as: type)
    }

    mutating func writeHost(_ value: some FixedWidthInteger) {
        self.writeInteger(value, endianness: .host)
    }

    /// The last one need not be filled up.
    fileprivate mutating func readPaddedSlice(length: Int) -> ByteBuffer? {
        guard let slice = self.readSlice(length: length) else { return nil }
        self.moveReaderIndex(forwardBy: min(-length & 3, self.readableBytes))
        return slice
    }
}
