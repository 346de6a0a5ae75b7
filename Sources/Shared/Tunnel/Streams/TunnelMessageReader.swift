import NIOCore

/// Takes the one message from the beginning of a stream: 2 bytes of length, big-endian, and then as many bytes.
///
///      0                   1
///      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
///     +-------------------------------+-------------- - -
///     |        length, 1...2048       | OpenTcp or OpenResult
///     +-------------------------------+-------------- - -
struct TunnelMessageReader {
    enum Failure: Error, Hashable {
        /// The length is 0 or more than any message needs.
        case badLength(Int)
    }

    /// Longest message, in bytes: a reason of 1024 bytes or a host of 255, with room for fields to come.
    static let maximumLength = 2048

    private var buffer = ByteBuffer()

    /// Moves bytes from `input` here until the message is complete, and returns it. What follows it stays in `input`.
    mutating func read(from input: inout ByteBuffer) throws(Failure) -> ByteBuffer? {
        guard self.fill(to: 2, from: &input), let length = self.buffer.getInteger(at: 0, as: UInt16.self) else {
            return nil
        }
        guard 1...Self.maximumLength ~= Int(length) else {
            throw .badLength(Int(length))
        }
        guard self.fill(to: 2 + Int(length), from: &input) else {
            return nil
        }
        return self.buffer.getSlice(at: 2, length: Int(length))
    }

    /// Puts a message behind its length.
    static func frame(_ message: ByteBuffer) -> ByteBuffer {
        var framed = ByteBuffer()
        framed.reserveCapacity(2 + message.readableBytes)
        framed.writeInteger(UInt16(clamping: message.readableBytes))
        framed.writeImmutableBuffer(message)
        return framed
    }

    private mutating func fill(to count: Int, from input: inout ByteBuffer) -> Bool {
        let missing = count - self.buffer.readableBytes
        if missing > 0, var part = input.readSlice(length: min(missing, input.readableBytes)) {
            self.buffer.writeBuffer(&part)
        }
        return self.buffer.readableBytes >= count
    }
}
