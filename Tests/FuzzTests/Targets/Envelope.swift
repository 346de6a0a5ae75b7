import NIOCore

@testable import AppProto

/// Messages of the control connection. The first byte is the protocol's.
func fuzzEnvelope(_ bytes: UnsafeRawBufferPointer) throws {
    let message = ByteBuffer(bytes: bytes)
    let bridge = Bridge(envelope: message)
    guard let envelope = try? Envelope(decoding: message) else {
        return try promise(bridge == nil, "the short way reads a Bridge that the long way refuses")
    }
    if let bridge {
        try promise(
            envelope.id == 0 && envelope.body == .bridge(bridge), "the two ways read different Bridges")
    }
    let encoded = envelope.encoded()
    try promise(
        encoded.readableBytes <= 3 * bytes.count + 64, "\(bytes.count) bytes become \(encoded.readableBytes)")
    guard encoded.readableBytes <= AppProtoLimits.envelope else { return }
    let again: Envelope
    do {
        again = try Envelope(decoding: encoded)
    } catch {
        throw BrokenPromise(description: "what was accepted is refused when it is passed on: \(error)")
    }
    try promise(again.encoded() == encoded, "passed on twice, the message is another")
    switch envelope.body {
    case .hello, .welcome:
        break  // They remember the bytes that they came in.
    case .bridge(let bridge):
        try promise(again == envelope, "passed on, the message is another")
        try promise(Bridge(envelope: bridge.envelope()) == bridge, "a Bridge does not survive the short way")
    default:
        try promise(again == envelope, "passed on, the message is another")
    }
}
