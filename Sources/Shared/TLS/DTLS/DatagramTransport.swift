import NIOCore

/// A transport that keeps the boundaries of datagrams: what OpenSSL reads in one call is one datagram, and so is what
/// it writes in one call.
final class DatagramTransport: OpenSSLTransport {
    /// The content type of application data, the first byte of a record (RFC 6347 §4.1, RFC 5246 §6.2.1).
    private static let applicationData: UInt8 = 23

    private var received: ByteBuffer?
    private var outgoing = CircularBuffer<ByteBuffer>()
    /// Where application data goes while ``withApplicationData(to:_:)`` runs.
    private var target = ByteBuffer()
    private var isCollecting = false
    private let allocator: ByteBufferAllocator

    init(allocator: ByteBufferAllocator) {
        self.allocator = allocator
    }

    /// Offers the next datagram. One that OpenSSL has not asked for in the meantime is lost, as UDP's may be.
    func receive(_ datagram: ByteBuffer) {
        self.received = datagram
    }

    /// Takes back a datagram that OpenSSL has not asked for.
    func dropReceived() {
        self.received = nil
    }

    /// How many datagrams wait to be sent.
    var outgoingCount: Int { self.outgoing.count }

    /// The next datagram to send.
    func takeOutgoing() -> ByteBuffer? {
        self.outgoing.popFirst()
    }

    /// Runs `body`, appending the application data that it makes OpenSSL write to `buffer`, without a copy of either.
    func withApplicationData<Result>(to buffer: inout ByteBuffer, _ body: () -> Result) -> Result {
        swap(&self.target, &buffer)
        self.isCollecting = true
        defer {
            self.isCollecting = false
            swap(&self.target, &buffer)
        }
        return body()
    }

    override func read(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard let datagram = self.received else { return nil }
        self.received = nil
        return datagram.withUnsafeReadableBytes { bytes in
            // OpenSSL offers room for the largest record; what is longer is none.
            let count = min(bytes.count, buffer.count)
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
            return count
        }
    }

    override func write(_ bytes: UnsafeRawBufferPointer) {
        // An alert can come in between; it is a datagram of its own.
        if self.isCollecting, bytes.first == Self.applicationData {
            self.target.writeBytes(bytes)
        } else {
            var datagram = self.allocator.buffer(capacity: bytes.count)
            datagram.writeBytes(bytes)
            self.outgoing.append(datagram)
        }
    }
}
