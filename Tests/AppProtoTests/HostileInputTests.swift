import NIOCore
import TestSupport
import Testing

@testable import AppProto

@Suite struct HostileInputTests {
    @Test func `cut messages never trap`() throws {
        for body in try Sample.bodies() {
            let bytes = Array(Envelope(id: 3, body).encoded().readableBytesView)
            for length in 0..<bytes.count {
                _ = try? Envelope(decoding: ByteBuffer(bytes: bytes.prefix(length)))
            }
        }
    }

    @Test func `damaged messages never trap`() throws {
        var generator = SeededGenerator(1)
        for body in try Sample.bodies() {
            let bytes = Array(Envelope(id: 3, body).encoded().readableBytesView)
            for _ in 0..<200 {
                var damaged = bytes
                for _ in 0..<3 {
                    damaged[Int.random(in: 0..<damaged.count, using: &generator)] = .random(
                        in: 0...255, using: &generator)
                }
                if let envelope = try? Envelope(decoding: ByteBuffer(bytes: damaged)) { _ = envelope.encoded() }
            }
        }
    }

    @Test func `random bytes never trap`() {
        var generator = SeededGenerator(2)
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            _ = try? Envelope(decoding: ByteBuffer(bytes: bytes))
            _ = try? OpenTcp(decoding: ByteBuffer(bytes: bytes))
            _ = try? StreamOpening(decoding: ByteBuffer(bytes: bytes))
            _ = try? OpenResult(decoding: ByteBuffer(bytes: bytes))
        }
    }

    @Test func `a message over the limit is refused unread`() {
        let buffer = ByteBuffer(repeating: 0, count: AppProtoLimits.envelope + 1)
        #expect(throws: AppProtoError.tooLarge(bytes: 262_145, limit: 262_144)) { try Envelope(decoding: buffer) }
    }

    @Test func `many empty submessages are refused before they take much memory`() {
        // AgentList (field 17) of 100 000 empty agents, two bytes each.
        let agents = [UInt8](repeating: 0, count: 200_000).enumerated().map { $0.offset % 2 == 0 ? UInt8(0x0A) : 0 }
        let message: [UInt8] = [0x8A, 0x01, 0xC0, 0x9A, 0x0C] + agents
        #expect(throws: AppProtoError.self) { try Envelope(decoding: ByteBuffer(bytes: message)) }
    }

    @Test(arguments: [
        [UInt8]("a\u{1B}[0m".utf8), [UInt8]("line\nbreak".utf8), [0xC3, 0x28], [UInt8]("\u{202E}evil".utf8), [],
        [UInt8](repeating: 0x61, count: 256),
    ])
    func `a name that is not printable UTF-8 of 1 to 255 bytes is refused`(name: [UInt8]) {
        var buffer = ByteBuffer()
        var bind = ByteBuffer(bytes: [0x0A] + Self.varint(name.count) + name)
        buffer.writeBytes([0x92, 0x01] + Self.varint(bind.readableBytes))
        buffer.writeBuffer(&bind)
        #expect(throws: AppProtoError.self) { try Envelope(decoding: buffer) }
    }

    @Test func `a reason is repaired instead of refused`() throws {
        let long = String(repeating: "x", count: 5000)
        let failure = try Envelope(
            decoding: Envelope(.failure(Failure(code: .refused, reason: "a\nb" + long))).encoded())
        guard case .failure(let received) = failure.body else {
            Issue.record("not a failure")
            return
        }
        #expect(received.reason.hasPrefix("a b"))
        #expect(received.reason.utf8.count == AppProtoLimits.reason)
    }

    @Test(arguments: [
        ([UInt8](repeating: 0xFF, count: 1100), 1023),
        (Array("x".utf8) + Array(repeatElement("é".utf8, count: 600).joined()), 1023),
        ([UInt8](repeating: 0x61, count: 1024), 1024), (Array("\u{2028}".utf8), 1),
    ])
    func `a reason is cut to its limit, and reading it again changes nothing`(reason: [UInt8], length: Int) throws {
        // Envelope.goodbye is field 5, its reason field 2.
        let goodbye = [0x12] + Self.varint(reason.count) + reason
        let envelope = try Envelope(decoding: ByteBuffer(bytes: [0x2A] + Self.varint(goodbye.count) + goodbye))
        guard case .goodbye(let received) = envelope.body else {
            Issue.record("not a goodbye")
            return
        }
        #expect(received.reason.utf8.count == length)
        #expect(try Envelope(decoding: envelope.encoded()) == envelope)
    }

    @Test(
        arguments: [
            // 0, in the two bytes that protobuf-c takes for it, and 2^29.
            [0x82, 0x00, 0x00], [0x82, 0x80, 0x80, 0x80, 0x10, 0x00],
        ] as [[UInt8]])
    func `an unknown field with an impossible number is refused, not passed on`(field: [UInt8]) throws {
        // Envelope.restart_wanted is field 28, its peer_id field 1.
        let wanted = [0x0A, 16] + [UInt8](repeating: 7, count: 16) + field
        #expect(throws: AppProtoError.malformed(message: "RestartWanted")) {
            try Envelope(decoding: ByteBuffer(bytes: [0xE2, 0x01, UInt8(wanted.count)] + wanted))
        }
    }

    @Test func `too many candidates are refused`() throws {
        let candidate = try Sample.candidate("192.0.2.1", port: 1)
        let reply = OpenPeerReply(
            peerID: Sample.peerID, ice: Sample.ice, candidates: Array(repeating: candidate, count: 65),
            fingerprint: Sample.nonce)
        #expect(throws: AppProtoError.invalidField("candidates", expected: "at most 64 elements")) {
            try Envelope(decoding: Envelope(.openPeerReply(reply)).encoded())
        }
    }

    @Test func `a client's hello with a registration is refused, and an agent's without one`() {
        let client = Hello(
            version: 1, role: .client, clientNonce: Sample.nonce, bindingType: .none, agent: Sample.registration,
            software: "")
        let agent = Hello(version: 1, role: .agent, clientNonce: Sample.nonce, bindingType: .none, software: "")
        for hello in [client, agent] {
            #expect(throws: AppProtoError.self) { try Envelope(decoding: Envelope(.hello(hello)).encoded()) }
        }
    }

    private static func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 0x7F | 0x80), UInt8(value >> 7)]
    }
}
