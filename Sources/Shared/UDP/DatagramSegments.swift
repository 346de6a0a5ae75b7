package import NIOCore

/// The datagrams in a buffer that the kernel coalesced (UDP GRO), as slices without copies.
package struct DatagramSegments: Sequence, IteratorProtocol {
    private var rest: ByteBuffer
    private let size: Int
    /// An empty buffer is a datagram, too: one without payload.
    private var isFirst = true

    /// `size` nil: the buffer is one datagram.
    package init(_ bytes: ByteBuffer, size: Int?) {
        self.rest = bytes
        self.size = Swift.max(size ?? bytes.readableBytes, 1)
    }

    package mutating func next() -> ByteBuffer? {
        defer { self.isFirst = false }
        guard self.rest.readableBytes > 0 || self.isFirst else { return nil }
        return self.rest.readSlice(length: Swift.min(self.size, self.rest.readableBytes))
    }
}
