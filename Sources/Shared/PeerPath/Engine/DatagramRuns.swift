package import NIOCore

/// Takes apart what the kernel has coalesced of one sender's datagrams (UDP GRO): STUN messages one by one, and between them
/// the datagrams of the protocol above, as many together as follow each other.
package struct DatagramRuns: Sequence, IteratorProtocol {
    package struct Run {
        package let bytes: ByteBuffer
        /// Set when there are several datagrams.
        package let segmentSize: Int?
        package let isSTUN: Bool
    }

    private var rest: ByteBuffer
    private let segmentSize: Int

    /// - Parameter segmentSize: nil: `bytes` is one datagram.
    package init(_ bytes: ByteBuffer, segmentSize: Int?) {
        self.rest = bytes
        self.segmentSize = Swift.max(segmentSize ?? bytes.readableBytes, 1)
    }

    package mutating func next() -> Run? {
        guard let isSTUN = Self.isSTUN(self.rest, at: 0) else { return nil }
        var length = Swift.min(self.segmentSize, self.rest.readableBytes)
        while !isSTUN, Self.isSTUN(self.rest, at: length) == false {
            length = Swift.min(length + self.segmentSize, self.rest.readableBytes)
        }
        guard let bytes = self.rest.readSlice(length: length) else { return nil }
        return Run(bytes: bytes, segmentSize: length > self.segmentSize ? self.segmentSize : nil, isSTUN: isSTUN)
    }

    /// Whether the datagram at an offset is STUN (RFC 9443 §3); nil at the end.
    package static func isSTUN(_ bytes: ByteBuffer, at offset: Int) -> Bool? {
        bytes.getInteger(at: bytes.readerIndex + offset, as: UInt8.self).map { $0 <= 3 }
    }
}
