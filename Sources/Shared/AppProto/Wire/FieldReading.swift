import Basics
import CAppProto
import NIOCore

// What every message does with its fields when it is decoded: copy them out of C memory, check them, name them.

/// The bytes of a field, which must have a length in `length`.
func readBytes(
    _ data: ProtobufCBinaryData, _ field: String, length: ClosedRange<Int>
) throws(AppProtoError) -> [UInt8] {
    guard length.contains(data.len) else {
        let expected =
            length.lowerBound == length.upperBound
            ? "\(length.lowerBound) bytes" : "\(length.lowerBound) to \(length.upperBound) bytes"
        throw .invalidField(field, expected: expected)
    }
    return Array(UnsafeBufferPointer(start: data.data, count: data.len))
}

/// The bytes of a field that is either empty or exactly `length` long.
func readOptionalBytes(_ data: ProtobufCBinaryData, _ field: String, length: Int) throws(AppProtoError) -> [UInt8] {
    guard data.len != 0 else { return [] }
    return try readBytes(data, field, length: length...length)
}

/// A string that programs compare and people read: printable UTF-8 of a length (in bytes) in `length`.
func readString(
    _ pointer: UnsafePointer<CChar>?, _ field: String, length: ClosedRange<Int>
) throws(AppProtoError) -> String {
    let bytes = cString(pointer)
    guard length.contains(bytes.count), let string = String(validating: bytes, as: UTF8.self),
        isPrintable(string)
    else {
        throw .invalidField(
            field, expected: "\(length.lowerBound) to \(length.upperBound) bytes of printable UTF-8")
    }
    return string
}

/// Text only for people: repaired and cut instead of refused.
func readReason(_ pointer: UnsafePointer<CChar>?) -> String {
    var string = String(decoding: cString(pointer), as: UTF8.self)
    if !isPrintable(string) {
        string = String(String.UnicodeScalarView(string.unicodeScalars.map { isPrintable($0) ? $0 : " " }))
    }
    // Last: what is repaired may have three times as many bytes.
    return string.cut(toBytes: AppProtoLimits.reason)
}

/// A string of ice-char = ALPHA / DIGIT / "+" / "/" (RFC 8839 §5.1).
func readICECharacters(
    _ pointer: UnsafePointer<CChar>?, _ field: String, length: ClosedRange<Int>
) throws(AppProtoError) -> String {
    let bytes = cString(pointer)
    guard length.contains(bytes.count), bytes.allSatisfy(isICECharacter) else {
        throw .invalidField(field, expected: "\(length.lowerBound) to \(length.upperBound) ice-chars")
    }
    return String(decoding: bytes, as: UTF8.self)
}

func readPort(_ value: UInt32, _ field: String, zeroAllowed: Bool = false) throws(AppProtoError) -> UInt16 {
    guard let port = UInt16(exactly: value), port != 0 || zeroAllowed else {
        throw .invalidField(field, expected: zeroAllowed ? "0 to 65535" : "1 to 65535")
    }
    return port
}

/// An address of 4 or 16 bytes in network order, with its port.
func readAddress(
    _ data: ProtobufCBinaryData, port: UInt16, _ field: String
) throws(AppProtoError) -> SocketAddress {
    let bytes = Array(UnsafeBufferPointer(start: data.data, count: data.len))
    guard bytes.count == 4 || bytes.count == 16,
        let address = try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: Int(port))
    else {
        throw .invalidField(field, expected: "an address of 4 or 16 bytes")
    }
    return address
}

func readInstanceID(_ pointer: UnsafePointer<CChar>?, _ field: String) throws(AppProtoError) -> InstanceID {
    guard let id = InstanceID(rawValue: String(decoding: cString(pointer), as: UTF8.self)) else {
        throw .invalidField(field, expected: "32 lower-case hex digits")
    }
    return id
}

/// An instance id that may be left out.
func readOptionalInstanceID(_ pointer: UnsafePointer<CChar>?, _ field: String) throws(AppProtoError) -> InstanceID? {
    cString(pointer).isEmpty ? nil : try readInstanceID(pointer, field)
}

func readPeerID(_ data: ProtobufCBinaryData) throws(AppProtoError) -> PeerID {
    guard let id = PeerID(bytes: Array(UnsafeBufferPointer(start: data.data, count: data.len))) else {
        throw .invalidField("peer_id", expected: "16 bytes")
    }
    return id
}

func readFingerprint(_ data: ProtobufCBinaryData) throws(AppProtoError) -> CertificateFingerprint {
    let bytes = Array(UnsafeBufferPointer(start: data.data, count: data.len))
    guard let fingerprint = CertificateFingerprint(bytes: bytes) else {
        throw .invalidField("fingerprint", expected: "\(CertificateFingerprint.byteCount) bytes")
    }
    return fingerprint
}

/// A submessage that must be there.
func readMessage<Message: WireMessage>(
    _ pointer: UnsafeMutablePointer<Message.CMessage>?, _ field: String, as: Message.Type = Message.self
) throws(AppProtoError) -> Message {
    guard let pointer else { throw .invalidField(field, expected: "a value") }
    return try Message(pointer.pointee)
}

/// A repeated message field of at most `limit` elements.
func readMessages<Message: WireMessage>(
    _ pointer: UnsafeMutablePointer<UnsafeMutablePointer<Message.CMessage>?>?, count: Int, _ field: String,
    limit: Int, as: Message.Type = Message.self
) throws(AppProtoError) -> [Message] {
    guard count <= limit else { throw .invalidField(field, expected: "at most \(limit) elements") }
    var messages: [Message] = []
    messages.reserveCapacity(count)
    for element in UnsafeBufferPointer(start: pointer, count: count) {
        messages.append(try readMessage(element, field))
    }
    return messages
}

/// The bytes before the terminating zero; none for a null pointer.
private func cString(_ pointer: UnsafePointer<CChar>?) -> [UInt8] {
    guard let pointer else { return [] }
    var bytes: [UInt8] = []
    var next = pointer
    while next.pointee != 0 {
        bytes.append(UInt8(bitPattern: next.pointee))
        next += 1
    }
    return bytes
}

private func isICECharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
        true
    default: false
    }
}
