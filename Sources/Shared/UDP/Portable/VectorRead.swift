import LibC

/// Reading several datagrams at once: one after the other.
enum VectorRead {
    /// Reads into `memory`, which has a slot of `slot` bytes for each element of `received`, and fills in its first elements.
    ///
    /// - Returns: how many datagrams came, and the error number of what came instead of the next one, or 0.
    static func receive(
        from descriptor: CInt, into memory: UnsafeMutableRawBufferPointer, slot: Int,
        _ received: inout [(length: Int, segmentSize: Int?)]
    ) -> (count: Int, error: CInt) {
        for index in received.indices {
            let length = recv(descriptor, memory.baseAddress.map { $0 + index * slot }, slot, CInt(MSG_DONTWAIT))
            guard length >= 0 else { return (index, errno) }
            received[index] = (length, nil)
        }
        return (received.count, 0)
    }
}
