import CAppProto
import NIOCore

/// The C memory of one outgoing message. Everything handed out lives exactly as long as the arena.
final class Arena {
    private var allocations: [UnsafeMutableRawPointer] = []

    deinit {
        for allocation in self.allocations { allocation.deallocate() }
    }

    /// Room for `count` values, not initialised.
    private func allocate<T>(_ type: T.Type, count: Int) -> UnsafeMutablePointer<T> {
        let pointer = UnsafeMutablePointer<T>.allocate(capacity: max(count, 1))
        self.allocations.append(UnsafeMutableRawPointer(pointer))
        return pointer
    }

    /// The C form of `value`, with everything it points to.
    func message<Message: WireMessage>(_ value: Message) -> UnsafeMutablePointer<Message.CMessage> {
        let pointer = self.allocate(Message.CMessage.self, count: 1)
        Message.initialize(pointer)
        value.fill(&pointer.pointee, self)
        return pointer
    }

    /// An optional message: a null pointer when absent.
    func optional<Message: WireMessage>(_ value: Message?) -> UnsafeMutablePointer<Message.CMessage>? {
        value.map { self.message($0) }
    }

    /// A repeated message field; protobuf-c wants an array of pointers.
    func messages<Message: WireMessage>(
        _ values: [Message]
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<Message.CMessage>?>? {
        self.array(values.map { self.message($0) })
    }

    /// A repeated field of scalars, or of pointers.
    func array<T>(_ values: [T]) -> UnsafeMutablePointer<T>? {
        guard !values.isEmpty else { return nil }
        let pointer = self.allocate(T.self, count: values.count)
        pointer.initialize(from: values, count: values.count)
        return pointer
    }

    func string(_ value: String) -> UnsafeMutablePointer<CChar>? {
        self.array(value.utf8.map { CChar(bitPattern: $0) } + [0])
    }

    func bytes(_ value: [UInt8]) -> ProtobufCBinaryData {
        ProtobufCBinaryData(len: value.count, data: self.array(value))
    }

    func bytes(_ value: ByteBuffer) -> ProtobufCBinaryData {
        let pointer = self.allocate(UInt8.self, count: value.readableBytes)
        value.withUnsafeReadableBytes { bytes in
            UnsafeMutableRawBufferPointer(start: pointer, count: value.readableBytes).copyMemory(from: bytes)
        }
        return ProtobufCBinaryData(len: value.readableBytes, data: pointer)
    }

    /// Puts back the fields that this version did not know when the message came in.
    func unknownFields(_ fields: UnknownFields, into base: inout ProtobufCMessage) {
        base.n_unknown_fields = UInt32(fields.fields.count)
        base.unknown_fields = self.array(
            fields.fields.map { field in
                ProtobufCMessageUnknownField(
                    tag: field.number, wire_type: ProtobufCWireType(rawValue: field.wireType),
                    len: field.data.count, data: self.array(field.data))
            })
    }
}
