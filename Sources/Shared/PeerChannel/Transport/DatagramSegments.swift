import NIOCore

/// The datagrams in a buffer that the kernel coalesced (UDP GRO), as slices without copies.
struct DatagramSegments: Sequence, IteratorProtocol {
    private var rest: ByteBuffer
    private let size: Int

    /// `size` nil: the buffer is one datagram.
    init(_ bytes: ByteBuffer, size: Int?) {
        self.rest = bytes
        self.size = Swift.max(size ?? bytes.readableBytes, 1)
    }

    mutating func next() -> ByteBuffer? {
        self.rest.readableBytes == 0 ? nil : self.rest.readSlice(length: Swift.min(self.size, self.rest.readableBytes))
    }
}
