import CPortable
import LibC
import NIOCore

/// The control message of one `sendmsg` (cmsg(3)).
struct ControlMessages {
    /// Room for it.
    static let capacity = 64

    private let memory: UnsafeMutableRawBufferPointer
    /// Bytes that have been filled.
    private(set) var length = 0

    /// `memory`: ``capacity`` bytes, aligned for a header.
    init(_ memory: UnsafeMutableRawBufferPointer) {
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        self.memory = memory
    }

    /// There is no such thing: whoever sends asks ``SegmentationOffload`` first.
    mutating func add(segmentSize: UInt16) {
        preconditionFailure("several datagrams at once, where the kernel cannot split them")
    }

    /// Send from this address of this machine (`struct in_pktinfo` and `struct in6_pktinfo`).
    mutating func add(source: SocketAddress) {
        self.length = source.withSockAddr { address, _ in
            CPortable_write_source(self.memory.baseAddress, self.memory.count, address)
        }
    }
}
