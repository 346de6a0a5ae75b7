import NIOCore

@testable import UDPRelay
@testable import rtun_relay

/// A record of a datagram channel, and the control messages in it. The first byte is the protocol's.
func fuzzRelayRecord(_ bytes: UnsafeRawBufferPointer) throws {
    let record = ByteBuffer(bytes: bytes)
    guard let frames = try? RelayRecordReader(record).map(\.self) else { return }
    try promise(
        frames.reduce(0) { $0 + RelayFrame.headerLength + $1.payload.readableBytes } == bytes.count,
        "the frames are not the record")
    var writer = RelayRecordWriter(limit: bytes.count)
    var written: [ByteBuffer] = []
    for frame in frames {
        try promise(writer.fits(frame.payload.readableBytes), "a frame of the record does not fit a record of its size")
        if !writer.hasRoom(for: frame.payload.readableBytes) { writer.finish { written.append($0) } }
        writer.append(frame.flowID, payload: frame.payload)
    }
    writer.finish { written.append($0) }
    try promise(written == [record], "the record is another when it is written again")
    for frame in frames where frame.flowID == .control {
        try frame.payload.withUnsafeReadableBytes(fuzzControlMessage)
    }
}

/// One control message. The first byte is the protocol's.
func fuzzControlMessage(_ bytes: UnsafeRawBufferPointer) throws {
    let payload = ByteBuffer(bytes: bytes)
    // Neither an error nor one of a type that is to be ignored.
    guard let message = try? ControlMessage(decoding: payload) else { return }
    try promise(message.encoded() == payload, "the control message is another when it is encoded again")
}

/// A rule of the command line, as its user writes it.
func fuzzRelayRule(_ bytes: UnsafeRawBufferPointer) throws {
    let text = FuzzInput(bytes).text()
    do {
        let rule = try RelayRule(parsing: text)
        try promise(rule.target.port != 0, "port 0 is no target")
        try promise((try? RelayRule(parsing: rule.description)) == rule, "\(rule) does not mean itself")
    } catch let error as RelayRuleError {
        try promise(error.description.hasPrefix(error.message), "the message is not in the description")
        try promise(error.faultyPart.utf8.count <= text.utf8.count, "the faulty part is not in the rule")
    }
    _ = try? RelayRule.parse(text.split(separator: "\n").map(String.init))
}
