import NIOCore

/// A transport for a byte stream: one received buffer at a time, and one buffer that collects what is to be sent.
final class StreamTransport: OpenSSLTransport {
    private var received = ByteBuffer()
    private var outgoing = ByteBuffer()
    private let allocator: ByteBufferAllocator

    init(allocator: ByteBufferAllocator) {
        self.allocator = allocator
    }

    /// Received bytes that OpenSSL has not taken yet.
    var receivedBytes: Int { self.received.readableBytes }

    /// Adds received bytes.
    func receive(_ bytes: ByteBuffer) {
        if self.received.readableBytes == 0 {
            self.received = bytes
        } else {
            self.received.writeImmutableBuffer(bytes)
        }
    }

    /// Makes room for `bytes` more bytes to be sent.
    func reserve(_ bytes: Int) {
        if self.outgoing.capacity == 0 {
            self.outgoing = self.allocator.buffer(capacity: bytes)
        } else {
            self.outgoing.reserveCapacity(minimumWritableBytes: bytes)
        }
    }

    /// Hands over what is to be sent, nil if there is nothing.
    func takeOutgoing() -> ByteBuffer? {
        guard self.outgoing.readableBytes > 0 else { return nil }
        defer { self.outgoing = ByteBuffer() }
        return self.outgoing
    }

    override func read(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = self.received.readWithUnsafeReadableBytes { bytes in
            let count = min(bytes.count, buffer.count)
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
            return count
        }
        // An idle connection keeps no buffer.
        if self.received.readableBytes == 0 { self.received = ByteBuffer() }
        return count > 0 ? count : nil
    }

    override func write(_ bytes: UnsafeRawBufferPointer) {
        self.outgoing.writeBytes(bytes)
    }
}
