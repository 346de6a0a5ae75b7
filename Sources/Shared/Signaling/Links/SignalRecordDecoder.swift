import NIOCore

/// Takes messages out of the bytes of a QUIC stream:
///
///     length  u32, big-endian, 0…262 144
///     message `length` bytes of Envelope
///
/// A record of length 0 carries nothing and is passed over: with one the client makes its stream known to the server,
/// which speaks first (a QUIC stream exists for the other side only when its first byte comes).
struct SignalRecordDecoder {
    private var buffer = ByteBuffer()
    /// Largest message now, in bytes.
    var maximumMessageSize = SignalLinkLimits.maximumMessageSize
    /// Records of length 0 so far.
    private var emptyRecords = 0
    /// One is enough to make a stream known.
    private static let maximumEmptyRecords = 4

    /// The record that makes a stream known.
    static let emptyRecord = ByteBuffer(integer: UInt32(0))

    /// Whether a part of a record waits for its rest.
    var isMidRecord: Bool {
        self.buffer.readableBytes > 0
    }

    mutating func append(_ bytes: ByteBuffer) {
        // What is claimed to come is not reserved; memory follows what has come.
        self.buffer.discardReadBytes()
        self.buffer.writeImmutableBuffer(bytes)
    }

    /// The next whole message; nil when more bytes are needed.
    mutating func next() throws(SignalLinkError) -> ByteBuffer? {
        while let length = self.buffer.getInteger(at: self.buffer.readerIndex, as: UInt32.self) {
            guard length <= self.maximumMessageSize else { throw .messageTooLarge }
            let size = MemoryLayout<UInt32>.size
            guard self.buffer.readableBytes >= size + Int(length) else { return nil }
            self.buffer.moveReaderIndex(forwardBy: size)
            if length > 0 {
                return self.buffer.readSlice(length: Int(length))
            }
            self.emptyRecords += 1
            guard self.emptyRecords <= Self.maximumEmptyRecords else { throw .framing("empty records") }
        }
        return nil
    }

    /// A message with its length in front. `message`: 1…262 144 bytes.
    static func record(_ message: ByteBuffer) -> ByteBuffer {
        var record = ByteBuffer()
        record.reserveCapacity(MemoryLayout<UInt32>.size + message.readableBytes)
        record.writeInteger(UInt32(message.readableBytes))
        record.writeImmutableBuffer(message)
        return record
    }
}
