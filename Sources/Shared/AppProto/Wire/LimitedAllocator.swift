import CAppProto

/// A protobuf-c allocator with a budget, so that a small hostile message cannot make the parser take much memory
/// (a repeated message field costs two bytes on the wire and some hundred bytes parsed).
///
/// `body` gets the allocator; what it allocates, `body` must free before it returns.
func withLimitedAllocator<Result>(
    budget: Int, _ body: (UnsafeMutablePointer<ProtobufCAllocator>) throws(AppProtoError) -> Result
) throws(AppProtoError) -> Result {
    let remaining = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    remaining.initialize(to: budget)
    let allocator = UnsafeMutablePointer<ProtobufCAllocator>.allocate(capacity: 1)
    allocator.initialize(
        to: ProtobufCAllocator(
            alloc: { context, size in
                guard let remaining = context?.assumingMemoryBound(to: Int.self), size <= remaining.pointee else {
                    return nil
                }
                remaining.pointee -= size
                return .allocate(byteCount: max(size, 1), alignment: 16)
            },
            free: { _, pointer in pointer?.deallocate() },
            allocator_data: remaining))
    defer {
        allocator.deallocate()
        remaining.deallocate()
    }
    return try body(allocator)
}
