package import NIOCore

/// Datagrams of one size on their way to one destination, gathered so that they leave with one system call (UDP GSO).
///
/// Ask ``accepts(_:)`` before each datagram; when it says no, ``send(_:)`` what is there first. The memory is used again.
package struct DatagramRun {
    /// Linux takes as many segments in one call, and no more bytes than an IP packet holds.
    private static let maximumSegments = 64
    private static let maximumBytes = 65_000

    private var bytes = ByteBuffer()
    private var segmentSize = 0
    /// How many datagrams wait.
    package private(set) var count = 0
    /// A datagram shorter than the others has to be the last one.
    private var isComplete = false

    /// Memory beyond this, in bytes, is given back after each call.
    private let keptCapacity: Int

    /// - Parameter keptCapacity: how many bytes of memory to keep for the next datagrams.
    package init(keptCapacity: Int = .max) { self.keptCapacity = keptCapacity }

    /// Whether a datagram of `length` bytes may follow those that are there.
    package func accepts(_ length: Int) -> Bool {
        guard self.count > 0 else { return true }
        return !self.isComplete && (1...self.segmentSize).contains(length) && self.count < Self.maximumSegments
            && self.bytes.readableBytes + length <= Self.maximumBytes
    }

    /// Adds a datagram of `length` bytes, which `write` appends to the buffer that it is given; when it returns false, it
    /// has appended nothing, and nothing is added.
    ///
    /// - Precondition: ``accepts(_:)`` holds.
    package mutating func append(length: Int, _ write: (inout ByteBuffer) -> Bool) {
        precondition(self.accepts(length), "a run of datagrams takes only what fits it")
        if self.count == 0 { self.bytes.reserveCapacity(length) }
        guard write(&self.bytes) else { return }
        if self.count == 0 {
            self.segmentSize = length
            self.isComplete = length == 0
        } else if length < self.segmentSize {
            self.isComplete = true
        }
        self.count += 1
    }

    /// Adds a copy of a datagram.
    package mutating func append(_ datagram: ByteBuffer) {
        self.append(length: datagram.readableBytes) { bytes in
            bytes.writeImmutableBuffer(datagram)
            return true
        }
    }

    /// Hands what is there, if anything, to `body`, with the size of a segment when there are several; then it is empty.
    package mutating func send(_ body: (ByteBuffer, _ segmentSize: Int?) -> Void) {
        guard self.count > 0 else { return }
        body(self.bytes, self.count > 1 ? self.segmentSize : nil)
        // Keeps the memory unless somebody else still needs it, or it is much.
        if self.bytes.capacity > self.keptCapacity { self.bytes = ByteBuffer() } else { self.bytes.clear() }
        self.count = 0
        self.isComplete = false
    }
}
