import CLinuxUDP
import LibC
import NIOCore

/// Memory for the datagrams that one system call reads. Used again and again: a datagram that is to be kept has to be
/// copied.
struct ReceiveBuffer {
    /// What is read by one call.
    struct Shape {
        /// Datagrams, or batches of them.
        let count: Int
        /// Room for each, in bytes. What is longer is cut to this.
        let slot: Int

        /// One datagram each on a path with an MTU of 1500, and some more.
        static let datagrams = Shape(count: 32, slot: 2048)
        /// Several datagrams each, up to the largest batch that the kernel makes (UDP GRO).
        static let segments = Shape(count: 4, slot: 65_535)
    }

    private let shape: Shape
    private var storage: ByteBuffer
    /// Of the last call.
    private var received: [(length: Int, segmentSize: Int?)]

    init(_ shape: Shape) {
        self.shape = shape
        self.storage = ByteBufferAllocator().buffer(capacity: shape.count * shape.slot)
        self.received = Array(repeating: (0, nil), count: shape.count)
    }

    /// Without memory.
    init(empty: Void) {
        self.shape = Shape(count: 0, slot: 0)
        self.storage = ByteBuffer()
        self.received = []
    }

    /// What one call brought.
    enum Outcome {
        case datagrams(Int)
        /// There is nothing to read.
        case nothing
        /// An error number.
        case failed(CInt)
    }

    /// Reads from a socket and hands each datagram to `body`, or each batch of them with their size.
    mutating func read(from descriptor: CInt, _ body: (_ bytes: ByteBuffer, _ segmentSize: Int?) -> Void) -> Outcome {
        let received = self.receive(from: descriptor)
        guard received >= 0 else {
            switch -received {
            case EAGAIN, EWOULDBLOCK, EINTR: return .nothing
            case let error: return .failed(error)
            }
        }
        for index in 0..<Int(received) {
            let (length, segmentSize) = self.received[index]
            if let bytes = self.storage.getSlice(at: index * self.shape.slot, length: length) {
                body(bytes, segmentSize)
            }
        }
        return received == 0 ? .nothing : .datagrams(Int(received))
    }

    /// Fills memory and lengths; returns how many datagrams or batches came, or an error number less than 0.
    private mutating func receive(from descriptor: CInt) -> CInt {
        let (count, slot) = (self.shape.count, self.shape.slot)
        let controlBytes = count * ControlMessages.capacity
        var received: CInt = 0
        self.storage.clear()
        self.storage.writeWithUnsafeMutableBytes(minimumWritableBytes: count * slot) { memory in
            withUnsafeTemporaryAllocation(of: CLinuxUDP_message.self, capacity: count) { messages in
                withUnsafeTemporaryAllocation(of: iovec.self, capacity: count) { vectors in
                    withUnsafeTemporaryAllocation(
                        byteCount: controlBytes, alignment: MemoryLayout<cmsghdr>.alignment
                    ) { control in
                        for index in 0..<count {
                            vectors.initializeElement(
                                at: index,
                                to: iovec(iov_base: memory.baseAddress.map { $0 + index * slot }, iov_len: slot))
                            var message = CLinuxUDP_message()
                            message.header.msg_iov = vectors.baseAddress.map { $0 + index }
                            message.header.msg_iovlen = 1
                            message.header.msg_control = control.baseAddress.map {
                                $0 + index * ControlMessages.capacity
                            }
                            message.header.msg_controllen = .init(ControlMessages.capacity)
                            messages.initializeElement(at: index, to: message)
                        }
                        received = CLinuxUDP_recvmmsg(
                            descriptor, messages.baseAddress, CUnsignedInt(count), CInt(MSG_DONTWAIT))
                        if received < 0 { received = -errno }
                        for index in 0..<max(0, Int(received)) {
                            let size = CLinuxUDP_segment_size(&messages[index].header)
                            self.received[index] = (Int(messages[index].length), size > 0 ? Int(size) : nil)
                        }
                    }
                }
            }
            return count * slot
        }
        return received
    }
}
