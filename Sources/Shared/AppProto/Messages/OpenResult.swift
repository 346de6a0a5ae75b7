import CAppProto
package import NIOCore

/// The agent's answer to `OpenTcp`; after one with `.ok` the stream carries raw bytes.
package struct OpenResult: Hashable, Sendable {
    package var code: OpenCode
    /// The local address of the agent's connection, when it tells.
    package var boundAddress: SocketAddress?
    /// For people; at most 1024 bytes are kept.
    package var reason: String

    package init(code: OpenCode, boundAddress: SocketAddress? = nil, reason: String = "") {
        self.code = code
        self.boundAddress = boundAddress
        self.reason = reason
    }

    /// The serialisation, without the length that precedes it on the stream.
    ///
    /// Never empty, which no length could announce: where all fields have their defaults, the code is written all the same,
    /// as protobuf allows.
    package func encoded() -> ByteBuffer {
        let serialized = self.serializedBuffer()
        return serialized.readableBytes > 0 ? serialized : ByteBuffer(bytes: [1 << 3, UInt8(OpenCode.ok.rawValue)])
    }

    /// Decodes the readable bytes of `buffer`, which are one message without its length.
    package init(decoding buffer: ByteBuffer) throws(AppProtoError) {
        try self.init(parsing: buffer, limit: Int(UInt16.max))
    }
}

extension OpenResult: RootMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__OpenResult>) { rtun__open_result__init(pointer) }

    init(_ message: Rtun__OpenResult) throws(AppProtoError) {
        self.code = OpenCode(rawValue: message.code.rawValue) ?? .failed
        if message.bound_address.len != 0 {
            let port = try readPort(message.bound_port, "bound_port", zeroAllowed: true)
            self.boundAddress = try readAddress(message.bound_address, port: port, "bound_address")
        } else {
            self.boundAddress = nil
        }
        self.reason = readReason(message.reason)
    }

    func fill(_ message: inout Rtun__OpenResult, _ arena: Arena) {
        message.code = Rtun__OpenCode(rawValue: self.code.rawValue)
        if let boundAddress = self.boundAddress {
            message.bound_address = arena.bytes(boundAddress.packedIPAddress)
            message.bound_port = UInt32(boundAddress.packedPort)
        }
        message.reason = arena.string(self.reason)
    }

    static func packedSize(_ pointer: UnsafePointer<Rtun__OpenResult>) -> Int {
        rtun__open_result__get_packed_size(pointer)
    }

    static func pack(_ pointer: UnsafePointer<Rtun__OpenResult>, into bytes: UnsafeMutablePointer<UInt8>) -> Int {
        rtun__open_result__pack(pointer, bytes)
    }
}

extension OpenResult: ParsedMessage {
    static func unpack(
        _ allocator: UnsafeMutablePointer<ProtobufCAllocator>, _ bytes: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<Rtun__OpenResult>? {
        rtun__open_result__unpack(allocator, bytes.count, bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
    }

    static func free(
        _ pointer: UnsafeMutablePointer<Rtun__OpenResult>, _ allocator: UnsafeMutablePointer<ProtobufCAllocator>
    ) {
        rtun__open_result__free_unpacked(pointer, allocator)
    }
}
