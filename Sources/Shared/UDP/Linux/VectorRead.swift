import CLinuxUDP
import LibC

/// Reading several datagrams at once, by recvmmsg(2).
enum VectorRead {
    /// Reads into `memory`, which has a slot of `slot` bytes for each element of `received`, and fills in its first elements.
    ///
    /// - Returns: how many datagrams or batches came, and the error number of what came instead of the next one, or 0.
    static func receive(
        from descriptor: CInt, into memory: UnsafeMutableRawBufferPointer, slot: Int,
        _ received: inout [(length: Int, segmentSize: Int?)]
    ) -> (count: Int, error: CInt) {
        let count = received.count
        return withUnsafeTemporaryAllocation(of: CLinuxUDP_message.self, capacity: count) { messages in
            withUnsafeTemporaryAllocation(of: iovec.self, capacity: count) { vectors in
                withUnsafeTemporaryAllocation(
                    byteCount: count * ControlMessages.capacity, alignment: MemoryLayout<cmsghdr>.alignment
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
                    let result = CLinuxUDP_recvmmsg(
                        descriptor, messages.baseAddress, CUnsignedInt(count), CInt(MSG_DONTWAIT))
                    guard result >= 0 else { return (0, errno) }
                    for index in 0..<Int(result) {
                        let size = CLinuxUDP_segment_size(&messages[index].header)
                        received[index] = (Int(messages[index].length), size > 0 ? Int(size) : nil)
                    }
                    return (Int(result), 0)
                }
            }
        }
    }
}
