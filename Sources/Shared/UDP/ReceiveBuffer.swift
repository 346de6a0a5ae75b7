import CLinuxUDP
import NIOCore

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Memory for the datagrams that one system call reads. Used again and again: a datagram that is to be kept has to be
/// copied.
struct ReceiveBuffer {
    /// Datagrams read by one call.
    private static let count = 32
    /// Room for one datagram on a path with an MTU of 1500, and some more. What is longer is cut to this.
    private static let slot = 2048

    private var storage: ByteBuffer
    /// Of the datagrams of the last call.
    private var lengths: [Int]

    init() {
        self.storage = ByteBufferAllocator().buffer(capacity: Self.count * Self.slot)
        self.lengths = Array(repeating: 0, count: Self.count)
    }

    /// Without memory.
    init(empty: Void) {
        self.storage = ByteBuffer()
        self.lengths = []
    }

    /// What one call brought.
    enum Outcome {
        case datagrams(Int)
        /// There is nothing to read.
        case nothing
        /// An error number.
        case failed(CInt)
    }

    /// Reads from a socket and hands each datagram to `body`.
    mutating func read(from descriptor: CInt, _ body: (ByteBuffer) -> Void) -> Outcome {
        let received = self.receive(from: descriptor)
        guard received >= 0 else {
            switch -received {
            case EAGAIN, EWOULDBLOCK, EINTR: return .nothing
            case let error: return .failed(error)
            }
        }
        for index in 0..<Int(received) {
            if let datagram = self.storage.getSlice(at: index * Self.slot, length: self.lengths[index]) {
                body(datagram)
            }
        }
        return received == 0 ? .nothing : .datagrams(Int(received))
    }

    /// Fills memory and lengths; returns how many datagrams came, or an error number less than 0.
    private mutating func receive(from descriptor: CInt) -> CInt {
        var received: CInt = 0
        self.storage.clear()
        self.storage.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.count * Self.slot) { memory in
            withUnsafeTemporaryAllocation(of: CLinuxUDP_message.self, capacity: Self.count) { messages in
                withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.count) { vectors in
                    for index in 0..<Self.count {
                        vectors.initializeElement(
                            at: index,
                            to: iovec(iov_base: memory.baseAddress.map { $0 + index * Self.slot }, iov_len: Self.slot))
                        var message = CLinuxUDP_message()
                        message.header.msg_iov = vectors.baseAddress.map { $0 + index }
                        message.header.msg_iovlen = 1
                        messages.initializeElement(at: index, to: message)
                    }
                    received = CLinuxUDP_recvmmsg(
                        descriptor, messages.baseAddress, CUnsignedInt(Self.count), CInt(MSG_DONTWAIT))
                    if received < 0 { received = -errno }
                    for index in 0..<max(0, Int(received)) { self.lengths[index] = Int(messages[index].length) }
                }
            }
            return Self.count * Self.slot
        }
        return received
    }
}
