internal import CNgtcp2
import DequeModule
import NIOCore

/// The bytes of one stream's sending direction, from the moment they are written until the peer has acknowledged them.
///
/// ngtcp2 does not copy: it keeps pointers into these chunks for retransmission, until `acked_stream_data_offset`
/// says that they are no longer needed or the stream is closed. So a chunk never moves, and is freed only in
/// `acknowledge` and `deinit`.
///
///     acknowledged          sent                      end
///         |--- in flight ----|------- unsent ----------|
struct SendBuffer: ~Copyable {
    private struct Chunk {
        let base: UnsafeMutablePointer<UInt8>
        let capacity: Int
        var count: Int
    }

    /// Chunks for bulk data have this size, so that few bytes lie idle and small packets span two chunks at most.
    private static let bulkChunk = 32 << 10
    private static let smallestChunk = 256

    private var chunks: Deque<Chunk> = []
    /// Stream offset of the first byte of the first chunk.
    private var baseOffset: UInt64 = 0
    /// Where the unsent bytes begin: a chunk, and a position in it.
    private var cursor = (chunk: 0, offset: 0)
    /// Stream offset of the first unsent byte.
    private(set) var sentOffset: UInt64 = 0
    /// Stream offset behind the last byte written.
    private(set) var endOffset: UInt64 = 0
    /// Stream offset up to which everything is acknowledged.
    private(set) var acknowledgedOffset: UInt64 = 0

    var unsentBytes: Int { Int(self.endOffset - self.sentOffset) }

    deinit {
        for chunk in self.chunks { chunk.base.deallocate() }
    }

    /// Copies `bytes` behind what is there.
    mutating func append(_ bytes: ByteBuffer) {
        bytes.withUnsafeReadableBytes { source in
            var source = source
            self.endOffset += UInt64(source.count)
            while !source.isEmpty {
                let copied = self.fillLastChunk(from: source)
                source = UnsafeRawBufferPointer(rebasing: source.dropFirst(copied))
                if !source.isEmpty { self.addChunk(for: source.count) }
            }
        }
    }

    /// Describes the unsent bytes in at most `capacity` pieces, at least `limit` bytes if there are as many.
    /// Returns how many pieces and bytes these are.
    func describeUnsent(
        in vectors: UnsafeMutablePointer<ngtcp2_vec>, capacity: Int, limit: Int
    ) -> (pieces: Int, bytes: Int) {
        var pieces = 0
        var bytes = 0
        var (index, offset) = self.cursor
        while index < self.chunks.count, pieces < capacity, bytes < limit {
            let chunk = self.chunks[index]
            if chunk.count > offset {
                vectors[pieces] = ngtcp2_vec(base: chunk.base + offset, len: chunk.count - offset)
                bytes += chunk.count - offset
                pieces += 1
            }
            index += 1
            offset = 0
        }
        return (pieces, bytes)
    }

    /// The next `count` unsent bytes have been put into a packet.
    mutating func markSent(_ count: Int) {
        self.sentOffset += UInt64(count)
        var left = count
        while left > 0 {
            let available = self.chunks[self.cursor.chunk].count - self.cursor.offset
            guard left >= available, self.cursor.chunk + 1 < self.chunks.count else {
                self.cursor.offset += left
                return
            }
            left -= available
            self.cursor = (self.cursor.chunk + 1, 0)
        }
    }

    /// The peer has everything up to this stream offset.
    mutating func acknowledge(upTo offset: UInt64) {
        self.acknowledgedOffset = max(self.acknowledgedOffset, offset)
        while let first = self.chunks.first {
            let end = self.baseOffset + UInt64(first.count)
            // The last chunk goes when all of it is acknowledged, even if it has room left: an idle stream holds no
            // memory.
            guard end <= self.acknowledgedOffset, end <= self.sentOffset else { return }
            first.base.deallocate()
            self.chunks.removeFirst()
            self.baseOffset = end
            self.cursor = self.cursor.chunk > 0 ? (self.cursor.chunk - 1, self.cursor.offset) : (0, 0)
        }
    }

    /// Forgets what has not been sent. What is in flight stays until it is acknowledged or the stream is closed.
    mutating func dropUnsent() {
        self.endOffset = self.sentOffset
        while self.chunks.count > self.cursor.chunk + 1, let last = self.chunks.popLast() {
            last.base.deallocate()
        }
        if self.cursor.chunk < self.chunks.count {
            self.chunks[self.cursor.chunk].count = self.cursor.offset
        }
    }

    /// Copies as much as fits behind the last chunk's bytes and returns how much that was.
    private mutating func fillLastChunk(from source: UnsafeRawBufferPointer) -> Int {
        guard let index = self.chunks.indices.last, let start = source.baseAddress else { return 0 }
        let chunk = self.chunks[index]
        let count = min(chunk.capacity - chunk.count, source.count)
        UnsafeMutableRawPointer(chunk.base + chunk.count).copyMemory(from: start, byteCount: count)
        self.chunks[index].count += count
        return count
    }

    /// Adds a chunk: as large as what is to be written when the stream was idle, of full size when it has a backlog.
    private mutating func addChunk(for count: Int) {
        let isIdle = self.chunks.isEmpty
        let wanted = isIdle ? max(count, Self.smallestChunk) : Self.bulkChunk
        let capacity = min(wanted, Self.bulkChunk)
        self.chunks.append(Chunk(base: .allocate(capacity: capacity), capacity: capacity, count: 0))
        // A cursor at the end of the previous chunk moves on, so that it never points behind the last one.
        let last = self.chunks.count - 1
        if last > 0, self.cursor.chunk == last - 1, self.cursor.offset == self.chunks[last - 1].count {
            self.cursor = (last, 0)
        }
    }
}
