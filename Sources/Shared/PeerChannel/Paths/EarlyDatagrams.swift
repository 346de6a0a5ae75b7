import NIOCore

/// Datagrams of the protocol above that wait for the first path: the first flight of the side that hears the other before its
/// own checks are answered.
struct EarlyDatagrams {
    private static let maximumBytes = 64 << 10

    private var waiting: [(bytes: ByteBuffer, segmentSize: Int?)] = []
    private var size = 0

    /// Returns whether there is room.
    mutating func add(_ bytes: ByteBuffer, segmentSize: Int?) -> Bool {
        guard self.size + bytes.readableBytes <= Self.maximumBytes else { return false }
        self.size += bytes.readableBytes
        self.waiting.append((bytes, segmentSize))
        return true
    }

    mutating func takeAll() -> [(bytes: ByteBuffer, segmentSize: Int?)] {
        defer { self = EarlyDatagrams() }
        return self.waiting
    }
}
