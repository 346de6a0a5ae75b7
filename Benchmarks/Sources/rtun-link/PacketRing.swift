/// Packets on their way, oldest first, in one block of memory: each behind the time at which it arrives and its length.
///
///     | time, 8 bytes | length, 8 bytes | packet, padded to a multiple of 8 |
///
/// A record does not wrap: where the rest of the block is too short, a length of 0 says that the next one is at its start.
struct PacketRing: ~Copyable {
    private let block: UnsafeMutableRawPointer
    private let capacity: Int
    /// Where the oldest record is, and where the next one goes.
    private var head = 0
    private var tail = 0
    private var used = 0
    private(set) var count = 0

    private static let header = 16

    init(capacity: Int) {
        self.capacity = (capacity + 7) & ~7
        self.block = .allocate(byteCount: self.capacity, alignment: 8)
    }

    deinit { self.block.deallocate() }

    /// When the oldest packet arrives; nil when there is none.
    var nextTime: Int64? {
        self.count == 0 ? nil : self.block.load(fromByteOffset: self.head, as: Int64.self)
    }

    /// False when there is no room.
    mutating func append(_ packet: UnsafeRawBufferPointer, arrivingAt time: Int64) -> Bool {
        let size = Self.header + (packet.count + 7) & ~7
        let rest = self.capacity - self.tail
        let skipped = rest < size ? rest : 0
        guard self.used + skipped + size <= self.capacity else { return false }
        if skipped > 0 {
            if rest >= Self.header { self.block.storeBytes(of: 0, toByteOffset: self.tail + 8, as: Int.self) }
            // The oldest record, if there is none yet, is then the one at the start.
            if self.count == 0 { self.head = 0 } else { self.used += skipped }
            self.tail = 0
        }
        self.block.storeBytes(of: time, toByteOffset: self.tail, as: Int64.self)
        self.block.storeBytes(of: packet.count, toByteOffset: self.tail + 8, as: Int.self)
        (self.block + self.tail + Self.header).copyMemory(from: packet.baseAddress!, byteCount: packet.count)
        self.tail += size
        if self.tail == self.capacity { self.tail = 0 }
        self.used += size
        self.count += 1
        return true
    }

    /// Hands the oldest packet, of which there must be one, to `body` and takes it away.
    mutating func removeFirst(_ body: (UnsafeRawBufferPointer) -> Void) {
        precondition(self.count > 0, "there is no packet to take")
        let length = self.block.load(fromByteOffset: self.head + 8, as: Int.self)
        body(UnsafeRawBufferPointer(start: self.block + self.head + Self.header, count: length))
        let size = Self.header + (length + 7) & ~7
        self.head += size
        self.used -= size
        self.count -= 1
        guard self.count > 0 else {
            (self.head, self.tail, self.used) = (0, 0, 0)
            return
        }
        let rest = self.capacity - self.head
        if rest < Self.header || self.block.load(fromByteOffset: self.head + 8, as: Int.self) == 0 {
            self.used -= rest
            self.head = 0
        }
    }
}
