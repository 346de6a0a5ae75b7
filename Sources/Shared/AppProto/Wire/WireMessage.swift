import CAppProto
import NIOCore

/// A Swift value with a protobuf-c struct behind it. Pointers stay inside the functions of this protocol.
protocol WireMessage {
    associatedtype CMessage

    /// protobuf-c's `…__init`.
    static func initialize(_ pointer: UnsafeMutablePointer<CMessage>)

    /// Copies and validates what protobuf-c parsed.
    init(_ message: CMessage) throws(AppProtoError)

    /// Fills an initialised struct; whatever it points to comes from `arena`.
    func fill(_ message: inout CMessage, _ arena: Arena)
}

/// A message that is serialised on its own: the outermost one, or one that goes into a MAC.
protocol RootMessage: WireMessage {
    static func packedSize(_ pointer: UnsafePointer<CMessage>) -> Int
    static func pack(_ pointer: UnsafePointer<CMessage>, into bytes: UnsafeMutablePointer<UInt8>) -> Int
}

/// A message that arrives on its own.
protocol ParsedMessage: WireMessage {
    static func unpack(
        _ allocator: UnsafeMutablePointer<ProtobufCAllocator>, _ bytes: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<CMessage>?
    static func free(
        _ pointer: UnsafeMutablePointer<CMessage>, _ allocator: UnsafeMutablePointer<ProtobufCAllocator>)
}

extension RootMessage {
    /// The serialisation of a C message.
    static func serialized(_ pointer: UnsafePointer<CMessage>) -> [UInt8] {
        let size = self.packedSize(pointer)
        return Array(unsafeUninitializedCapacity: size) { buffer, count in
            count = buffer.baseAddress.map { self.pack(pointer, into: $0) } ?? 0
        }
    }

    /// The serialisation of this value.
    func serialized() -> [UInt8] {
        let arena = Arena()
        return withExtendedLifetime(arena) { Self.serialized(arena.message(self)) }
    }

    func serializedBuffer() -> ByteBuffer {
        let arena = Arena()
        return withExtendedLifetime(arena) {
            let message = arena.message(self)
            let size = Self.packedSize(message)
            var buffer = ByteBuffer()
            buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { bytes in
                bytes.assumingMemoryBound(to: UInt8.self).baseAddress.map { Self.pack(message, into: $0) } ?? 0
            }
            return buffer
        }
    }
}

extension ParsedMessage {
    /// Parses the readable bytes of `buffer`, which are one whole message.
    init(parsing buffer: ByteBuffer, limit: Int) throws(AppProtoError) {
        guard buffer.readableBytes <= limit else {
            throw .tooLarge(bytes: buffer.readableBytes, limit: limit)
        }
        let parsed = buffer.withUnsafeReadableBytes { bytes in
            // Sixteen times its length is far more than any message takes that validation lets pass.
            Result<Self, AppProtoError> { () throws(AppProtoError) -> Self in
                try withLimitedAllocator(budget: 16 * bytes.count + 16 * 1024) { allocator throws(AppProtoError) in
                    guard let message = Self.unpack(allocator, bytes) else {
                        throw .malformed(message: "\(Self.self)")
                    }
                    defer { Self.free(message, allocator) }
                    return try Self(message.pointee)
                }
            }
        }
        self = try parsed.get()
    }
}
