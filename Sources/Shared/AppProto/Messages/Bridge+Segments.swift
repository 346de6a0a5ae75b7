import NIOCore

extension Bridge {
    /// How many datagrams these are.
    package var datagramCount: Int {
        let bytes = self.datagrams.readableBytes
        guard let size = self.segmentSize, size > 0, size < bytes else { return 1 }
        return bytes / size + (bytes % size == 0 ? 0 : 1)
    }

    /// Takes off the first datagrams: as many as have `bytes` together, and at least one; nil when none is left. What
    /// comes back shares memory with what stays.
    package mutating func popFirst(atMost bytes: Int) -> Bridge? {
        let available = self.datagrams.readableBytes
        guard available > 0 else { return nil }
        var first = self
        guard let size = self.segmentSize, size > 0, available > max(bytes, size) else {
            self.datagrams.moveReaderIndex(forwardBy: available)
            if first.datagramCount == 1 { first.segmentSize = nil }
            return first
        }
        let count = max(1, bytes / size)
        guard let taken = self.datagrams.readSlice(length: count * size) else { return nil }
        first.datagrams = taken
        if count == 1 { first.segmentSize = nil }
        return first
    }
}
