import CAppProto
package import NIOCore

/// The first message on a stream of the QUIC tunnel: what the client wants it for.
package enum StreamOpening: Hashable, Sendable {
    /// A TCP connection to a target.
    case tcp(OpenTcp)
    /// A UDP association: its datagrams travel beside the stream, for as long as the stream lives.
    case udpAssociation

    /// The serialisation, without the length that precedes it on the stream.
    package func encoded() -> ByteBuffer {
        self.serializedBuffer()
    }

    /// Decodes the readable bytes of `buffer`, which are one message without its length.
    package init(decoding buffer: ByteBuffer) throws(AppProtoError) {
        try self.init(parsing: buffer, limit: Int(UInt16.max))
    }
}

/// A message without fields, as yet.
private struct UdpAssociation: WireMessage {
    init() {}
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__UdpAssociation>) {
        rtun__udp_association__init(pointer)
    }
    init(_ message: Rtun__UdpAssociation) {}
    func fill(_ message: inout Rtun__UdpAssociation, _ arena: Arena) {}
}

/// On the wire it is an `OpenTcp`, which was there first.
extension StreamOpening: RootMessage, ParsedMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__OpenTcp>) { OpenTcp.initialize(pointer) }

    init(_ message: Rtun__OpenTcp) throws(AppProtoError) {
        guard message.udp_association != nil else {
            self = .tcp(try OpenTcp(message))
            return
        }
        // Who says both means neither; and an agent that does not know the field would dial.
        guard message.port == 0, message.host.map({ $0.pointee == 0 }) ?? true else {
            throw .invalidField("udp_association", expected: "no host and no port beside it")
        }
        self = .udpAssociation
    }

    func fill(_ message: inout Rtun__OpenTcp, _ arena: Arena) {
        switch self {
        case .tcp(let target): target.fill(&message, arena)
        case .udpAssociation: message.udp_association = arena.message(UdpAssociation())
        }
    }

    static func packedSize(_ pointer: UnsafePointer<Rtun__OpenTcp>) -> Int { OpenTcp.packedSize(pointer) }

    static func pack(_ pointer: UnsafePointer<Rtun__OpenTcp>, into bytes: UnsafeMutablePointer<UInt8>) -> Int {
        OpenTcp.pack(pointer, into: bytes)
    }

    static func unpack(
        _ allocator: UnsafeMutablePointer<ProtobufCAllocator>, _ bytes: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<Rtun__OpenTcp>? {
        OpenTcp.unpack(allocator, bytes)
    }

    static func free(
        _ pointer: UnsafeMutablePointer<Rtun__OpenTcp>, _ allocator: UnsafeMutablePointer<ProtobufCAllocator>
    ) {
        OpenTcp.free(pointer, allocator)
    }
}
