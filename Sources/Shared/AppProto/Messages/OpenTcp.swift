import CAppProto
package import NIOCore

/// The first message on a stream of the QUIC tunnel: where the agent is to connect to.
package struct OpenTcp: Hashable, Sendable {
    /// An IP literal without brackets, or a name: 1 to 255 bytes.
    package var host: String
    /// 1 to 65535.
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// The serialisation, without the length that precedes it on the stream.
    package func encoded() -> ByteBuffer {
        self.serializedBuffer()
    }

    /// Decodes the readable bytes of `buffer`, which are one message without its length.
    package init(decoding buffer: ByteBuffer) throws(AppProtoError) {
        try self.init(parsing: buffer, limit: Int(UInt16.max))
    }
}

extension OpenTcp: RootMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__OpenTcp>) { rtun__open_tcp__init(pointer) }

    init(_ message: Rtun__OpenTcp) throws(AppProtoError) {
        self.host = try readString(message.host, "host", length: 1...AppProtoLimits.name)
        self.port = try readPort(message.port, "port")
    }

    func fill(_ message: inout Rtun__OpenTcp, _ arena: Arena) {
        message.host = arena.string(self.host)
        message.port = UInt32(self.port)
    }

    static func packedSize(_ pointer: UnsafePointer<Rtun__OpenTcp>) -> Int {
        rtun__open_tcp__get_packed_size(pointer)
    }

    static func pack(_ pointer: UnsafePointer<Rtun__OpenTcp>, into bytes: UnsafeMutablePointer<UInt8>) -> Int {
        rtun__open_tcp__pack(pointer, bytes)
    }
}

extension OpenTcp: ParsedMessage {
    static func unpack(
        _ allocator: UnsafeMutablePointer<ProtobufCAllocator>, _ bytes: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<Rtun__OpenTcp>? {
        rtun__open_tcp__unpack(allocator, bytes.count, bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
    }

    static func free(
        _ pointer: UnsafeMutablePointer<Rtun__OpenTcp>, _ allocator: UnsafeMutablePointer<ProtobufCAllocator>
    ) {
        rtun__open_tcp__free_unpacked(pointer, allocator)
    }
}
