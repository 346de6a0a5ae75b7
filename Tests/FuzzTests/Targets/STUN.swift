import NIOCore
import TestSupport

@testable import STUN

/// A datagram to a STUN server, or from one. The first byte is the protocol's.
func fuzzSTUN(_ bytes: UnsafeRawBufferPointer) throws {
    let datagram = ByteBuffer(bytes: bytes)
    let isSTUN = STUNMessage.isSTUN(datagram)
    for source in strangers {
        guard let answer = STUNServer.respond(to: datagram, from: source) else { continue }
        try promise(answer.readableBytes <= bytes.count + 32, "an answer of \(answer.readableBytes) bytes")
        try promise((try? ReceivedSTUNMessage(decoding: answer)) != nil, "the answer is no STUN")
    }
    guard let received = try? ReceivedSTUNMessage(decoding: datagram) else { return }
    try promise(isSTUN, "STUN that is not told from other protocols")
    try promise(
        !received.isAuthentic(key: MessageIntegrityKey("nobody has this password".utf8)), "proved without the password")
    let message = received.message
    let encoded = message.encoded()
    try promise(encoded.readableBytes <= bytes.count, "the message grows when it is encoded again")
    try promise((try? ReceivedSTUNMessage(decoding: encoded))?.message == message, "it is another when encoded again")

    let key = MessageIntegrityKey("password".utf8)
    let proved = message.encoded(integrityKey: key, fingerprint: true)
    guard proved.readableBytes <= STUNMessage.maximumLength else { return }
    guard let again = try? ReceivedSTUNMessage(decoding: proved) else {
        throw BrokenPromise(description: "with a proof it is refused")
    }
    try promise(again.message == message && again.hasFingerprint, "with a proof it is another")
    try promise(again.isAuthentic(key: key), "the proof is not accepted")
}

/// Of both families.
private let strangers = ["192.0.2.1", "2001:db8::1"].compactMap { try? SocketAddress(ipAddress: $0, port: 3478) }
