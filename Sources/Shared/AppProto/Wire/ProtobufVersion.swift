internal import CAppProto

/// The protobuf-c that is used, which may be a newer one than the program was built with.
package enum ProtobufVersion {
    /// Such as `protobuf-c 1.4.1`.
    package static var description: String { "protobuf-c \(String(cString: protobuf_c_version()))" }
}
