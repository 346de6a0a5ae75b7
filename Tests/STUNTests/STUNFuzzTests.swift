import NIOCore
import TestSupport
import Testing

@testable import STUN

@Suite(.timeLimit(.minutes(1))) struct `STUN parser under hostile input` {
    static let vectors = [
        Vector.request, Vector.responseIPv4, Vector.responseIPv6, Vector.longTermRequest,
    ]

    @Test(arguments: vectors)
    func `every truncation is refused`(hex: String) {
        let bytes = hexBytes(hex)
        for length in 0..<bytes.count {
            #expect(throws: STUNError.self) {
                try ReceivedSTUNMessage(decoding: ByteBuffer(bytes: bytes.prefix(length)))
            }
        }
    }

    /// With a header that agrees, so that the attributes themselves are cut.
    @Test(arguments: vectors)
    func `every truncation with a matching header ends in a value or an error`(hex: String) {
        let bytes = hexBytes(hex)
        for length in stride(from: 20, to: bytes.count, by: 1) {
            var buffer = ByteBuffer(bytes: bytes.prefix(length))
            buffer.setInteger(UInt16(length - 20), at: 2)
            self.consume(buffer)
        }
    }

    @Test func `random bytes behind a valid header end in a value or an error`() {
        var generator = SeededGenerator(1)
        for _ in 0..<5_000 {
            let length = Int.random(in: 0...80, using: &generator) * 4
            var buffer = ByteBuffer()
            buffer.writeMultipleIntegers(
                UInt16.random(in: 0...0x3FFF, using: &generator), UInt16(length), STUNMessage.magicCookie)
            buffer.writeRepeatingByte(7, count: 12)
            for _ in 0..<length {
                // Small numbers make plausible types and lengths.
                let byte =
                    Bool.random(using: &generator)
                    ? UInt8.random(in: 0...40, using: &generator) : .random(in: 0...255, using: &generator)
                buffer.writeInteger(byte)
            }
            self.consume(buffer)
        }
    }

    @Test func `mutated messages end in a value or an error, and never prove themselves`() {
        var generator = SeededGenerator(2)
        for round in 0..<5_000 {
            let hex = Self.vectors[round % Self.vectors.count]
            let original = hexBytes(hex)
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = bytes.indices.randomElement(using: &generator) ?? 0
                bytes[index] = .random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) {
                bytes.removeLast(4 * Int.random(in: 0...2, using: &generator))
                bytes[2] = UInt8((bytes.count - 20) >> 8)
                bytes[3] = UInt8((bytes.count - 20) & 0xFF)
            }
            let mutated = ByteBuffer(bytes: bytes)
            self.consume(mutated)
            if let received = try? ReceivedSTUNMessage(decoding: mutated),
                received.isAuthentic(key: MessageIntegrityKey(Vector.password))
            {
                #expect(received.message == (try? ReceivedSTUNMessage(decoding: ByteBuffer(bytes: original)))?.message)
            }
        }
    }

    @Test func `what decodes encodes to what decodes the same`() throws {
        var generator = SeededGenerator(3)
        for _ in 0..<2_000 {
            let message = Self.randomMessage(using: &generator)
            let received = try ReceivedSTUNMessage(
                decoding: message.encoded(integrityKey: MessageIntegrityKey(Vector.password), fingerprint: true))
            #expect(received.message == message)
            #expect(received.hasFingerprint)
            #expect(received.isAuthentic(key: MessageIntegrityKey(Vector.password)))
        }
    }

    private func consume(_ buffer: ByteBuffer) {
        _ = STUNMessage.isSTUN(buffer)
        if let received = try? ReceivedSTUNMessage(decoding: buffer) {
            _ = received.isAuthentic(key: MessageIntegrityKey(Vector.password))
            let again = try? ReceivedSTUNMessage(decoding: received.message.encoded())
            #expect(again?.message == received.message)
        }
        if let source = try? SocketAddress(ipAddress: "192.0.2.1", port: 1),
            let answer = STUNServer.respond(to: buffer, from: source)
        {
            #expect(answer.readableBytes <= buffer.readableBytes + 32)
        }
    }

    private static func randomMessage(using generator: inout SeededGenerator) -> STUNMessage {
        let makers: [(inout SeededGenerator) -> STUNAttribute] = [
            { .username(String(repeating: "é", count: .random(in: 0...20, using: &$0))) },
            { .priority(.random(in: 0 ... .max, using: &$0)) },
            { .iceControlled(.random(in: 0 ... .max, using: &$0)) },
            { .iceControlling(.random(in: 0 ... .max, using: &$0)) },
            { _ in .useCandidate },
            { .xorMappedAddress(TransportAddress(ipv4: .random(in: 0 ... .max, using: &$0), port: 9)) },
            { .xorMappedAddress(TransportAddress(ipv6: $0.next(), $0.next(), port: 9)) },
            { .unknownAttributes([.random(in: 0 ... .max, using: &$0)]) },
            {
                .other(
                    type: .random(in: 0x9000...0xA000, using: &$0),
                    value: Array(repeating: 1, count: .random(in: 0...9, using: &$0)))
            },
        ]
        let classes: [STUNMessage.Class] = [.request, .indication, .success, .failure]
        let attributes = (0..<Int.random(in: 0...8, using: &generator)).map { _ in
            (makers.randomElement(using: &generator) ?? makers[0])(&generator)
        }
        return STUNMessage(
            classes.randomElement(using: &generator) ?? .request,
            method: .init(rawValue: UInt16.random(in: 0...0xFF, using: &generator)),
            id: .random(using: &generator), attributes: attributes)
    }
}
