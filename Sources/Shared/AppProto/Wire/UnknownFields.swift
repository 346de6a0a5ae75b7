import CAppProto

/// Fields of a newer schema, kept so that a server passes a message between two newer peers on unharmed.
package struct UnknownFields: Hashable, Sendable {
    struct Field: Hashable, Sendable {
        var number: UInt32
        var wireType: UInt32
        /// As on the wire after the tag: with the length in front when the wire type has one.
        var data: [UInt8]
    }

    var fields: [Field] = []

    /// No unknown fields.
    package init() {}

    init(_ base: ProtobufCMessage) {
        self.fields = UnsafeBufferPointer(start: base.unknown_fields, count: Int(base.n_unknown_fields)).map {
            Field(
                number: $0.tag, wireType: $0.wire_type.rawValue,
                data: Array(UnsafeBufferPointer(start: $0.data, count: $0.len)))
        }
    }
}
