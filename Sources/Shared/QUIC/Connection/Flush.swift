import NIOCore

/// The flush in progress: all that is sent until there is nothing more to send, or the burst is over.
struct Flush {
    /// Most that one transmit may carry: what fits into one UDP datagram of IPv4, as the kernel demands of a GSO send.
    static let maxTransmitBytes = 65_507
    /// Room for a few packets; enough until there is bulk data to send.
    static let smallBuffer = 4096

    /// A transmit that is made and has to wait for its turn.
    var held: QUICTransmit?
    /// Set when ngtcp2 had nothing more to send: the flush ends with the next transmit that is asked for.
    private(set) var isDrained = false
    private var buffer = ByteBuffer()
    private var bytes = 0
    /// Whose frames go into the next packet first, when both datagrams and streams with a backlog wait.
    private var streamsAreNext = false

    /// There may be more than when the last flush was broken off.
    mutating func begin() { self.isDrained = false }

    /// Room for packets; give it back with `filled`. `hasBulk`: more waits than a few packets carry.
    mutating func takeBuffer(hasBulk: Bool) -> ByteBuffer {
        var buffer = self.buffer
        self.buffer = ByteBuffer()
        let isLarge = self.bytes > 0 || hasBulk
        buffer.clear(minimumCapacity: isLarge ? Self.maxTransmitBytes : Self.smallBuffer)
        return buffer
    }

    /// Packets have been written. The buffer is used again, in this flush and in the next, unless somebody else holds it by
    /// then.
    mutating func filled(_ buffer: ByteBuffer, bytes: Int, isLast: Bool) {
        self.buffer = buffer
        self.bytes += bytes
        self.isDrained = isLast
    }

    /// Nothing more goes out now. The buffer is kept while there is a backlog.
    mutating func end(hasBulk: Bool) {
        self.isDrained = false
        if !hasBulk { self.buffer = ByteBuffer() }
        self.bytes = 0
    }

    /// Whether streams come before datagrams in the next packet; they take turns.
    mutating func streamsGoFirst() -> Bool {
        defer { self.streamsAreNext.toggle() }
        return self.streamsAreNext
    }
}
