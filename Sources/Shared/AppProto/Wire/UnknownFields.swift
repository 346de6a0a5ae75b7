import CAppProto

/// Fields of a newer schema, kept so that a server passes a message between two newer peers on unharmed.
package struct UnknownFields: Hashable, Sendable {
    struct Field: Hashable, Sendable {
        var number: UInt32
        var wireType: UInt32
        /// As on the wire after the tag: with the length in front when the wire type has one.
        var data: [UInt8]
    }

    /// What protobuf allows as a field's number. protobuf-c also takes others if they are written in more bytes than they
    /// need, and would write them so that nobody can read them.
    private static let numbers: ClosedRange<UInt32> = 1...(1 << 29 - 1)

    var fields: [Field] = []

    /// No unknown fields.
    package init() {}

    init(_ base: ProtobufCMessage) throws(AppProtoError) {
        self.fields = UnsafeBufferPointer(start: base.unknown_fields, count: Int(base.n_unknown_fields)).map {
            Field(
                number: $0.tag, wireType: $0.wire_type.rawValue,
                data: Array(UnsafeBufferPointer(start: $0.data, count: $0.len)))
        }
        guard self.fields.allSatisfy({ Self.numbers.contains($0.number) }) else {
            throw .malformed(message: String(cString: base.descriptor.pointee.short_name))
        }
    }
}
