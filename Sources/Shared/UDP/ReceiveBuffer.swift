import LibC
import NIOCore

/// Memory for the datagrams that one system call reads. Used again and again: a datagram that is to be kept has to be
/// copied.
struct ReceiveBuffer {
    /// What is read by one call.
    struct Shape {
        /// Datagrams, or batches of them.
        let count: Int
        /// Room for each, in bytes. What is longer is cut to this.
        let slot: Int

        /// One datagram each on a path with an MTU of 1500, and some more.
        static let datagrams = Shape(count: 32, slot: 2048)
        /// Several datagrams each, up to the largest batch that the kernel makes (UDP GRO).
        static let segments = Shape(count: 4, slot: 65_535)
    }

    private let shape: Shape
    private var storage: ByteBuffer
    /// Of the last call.
    private var received: [(length: Int, segmentSize: Int?)]

    init(_ shape: Shape) {
        self.shape = shape
        self.storage = ByteBufferAllocator().buffer(capacity: shape.count * shape.slot)
        self.received = Array(repeating: (0, nil), count: shape.count)
    }

    /// Without memory.
    init(empty: Void) {
        self.shape = Shape(count: 0, slot: 0)
        self.storage = ByteBuffer()
        self.received = []
    }

    /// What one call brought.
    struct Outcome {
        /// Datagrams, or batches of them; with none and no error there is nothing to read.
        let count: Int
        /// The error number of what came behind them.
        let error: CInt?
    }

    /// Reads from a socket and hands each datagram to `body`, or each batch of them with their size.
    mutating func read(from descriptor: CInt, _ body: (_ bytes: ByteBuffer, _ segmentSize: Int?) -> Void) -> Outcome {
        let (count, error) = self.receive(from: descriptor)
        for index in 0..<count {
            let (length, segmentSize) = self.received[index]
            if let bytes = self.storage.getSlice(at: index * self.shape.slot, length: length) {
                body(bytes, segmentSize)
            }
        }
        switch error {
        case 0, EAGAIN, EWOULDBLOCK, EINTR: return Outcome(count: count, error: nil)
        default: return Outcome(count: count, error: error)
        }
    }

    /// Fills memory and lengths.
    private mutating func receive(from descriptor: CInt) -> (count: Int, error: CInt) {
        let size = self.shape.count * self.shape.slot
        var result: (count: Int, error: CInt) = (0, 0)
        self.storage.clear()
        self.storage.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { memory in
            result = VectorRead.receive(from: descriptor, into: memory, slot: self.shape.slot, &self.received)
            return size
        }
        return result
    }
}
