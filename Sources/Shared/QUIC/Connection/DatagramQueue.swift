import DequeModule
import NIOCore

/// DATAGRAM frames (RFC 9221) that wait for a packet. They are small in number: who has more waits with them himself.
struct DatagramQueue {
    /// Bytes above which nothing more should come, and below which there is room again.
    static let marks = (high: 32 << 10, low: 8 << 10)
    /// Most frames that wait; the bytes of small ones say little.
    private static let maximumCount = 256

    private var payloads: Deque<ByteBuffer> = []
    private(set) var bytes = 0
    /// Set from the high mark on, until there is room again.
    private(set) var isThrottled = false
    /// Frames thrown away because the path had come to carry less than they need.
    private(set) var unfit: UInt64 = 0

    var first: ByteBuffer? { self.payloads.first }

    /// Adds a frame; false when too many wait.
    mutating func append(_ payload: ByteBuffer) -> Bool {
        guard self.payloads.count < Self.maximumCount else { return false }
        self.payloads.append(payload)
        self.bytes += payload.readableBytes
        if self.bytes > Self.marks.high || self.payloads.count == Self.maximumCount { self.isThrottled = true }
        return true
    }

    /// Forgets all: nothing will be sent any more.
    mutating func removeAll() {
        let unfit = self.unfit
        self = DatagramQueue()
        self.unfit = unfit
    }

    /// The first frame fits no packet any more.
    mutating func countUnfit() { self.unfit += 1 }

    /// Takes the first frame out. True when there is room again, for the first time.
    mutating func removeFirst() -> Bool {
        guard let first = self.payloads.popFirst() else { return false }
        self.bytes -= first.readableBytes
        guard self.isThrottled, self.bytes < Self.marks.low else { return false }
        self.isThrottled = false
        return true
    }
}
