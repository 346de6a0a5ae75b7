import NIOCore

/// Plaintext that waits to be encrypted, with the promises of its writes.
struct WriteBacklog {
    private var writes = CircularBuffer<(bytes: ByteBuffer, promise: EventLoopPromise<Void>?)>()
    /// Bytes waiting.
    private(set) var byteCount = 0

    /// Adds a write.
    mutating func append(_ bytes: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        self.byteCount += bytes.readableBytes
        self.writes.append((bytes, promise))
    }

    /// Takes the oldest write, together with those after it that fit in `limit` bytes with it: small writes, such as a
    /// header and its body, share a record. The promise stands for all of them.
    mutating func next(upTo limit: Int) -> (ByteBuffer, EventLoopPromise<Void>?)? {
        guard var (bytes, promise) = self.writes.popFirst() else { return nil }
        while let following = self.writes.first,
            bytes.readableBytes + following.bytes.readableBytes <= limit
        {
            self.writes.removeFirst()
            bytes.writeImmutableBuffer(following.bytes)
            if let first = promise {
                if let second = following.promise { first.futureResult.cascade(to: second) }
            } else {
                promise = following.promise
            }
        }
        self.byteCount -= bytes.readableBytes
        return (bytes, promise)
    }

    /// Drops everything, failing the promises.
    mutating func fail(_ error: any Error) {
        let dropped = self.writes
        self.writes = CircularBuffer()
        self.byteCount = 0
        for write in dropped { write.promise?.fail(error) }
    }
}
