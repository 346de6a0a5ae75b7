import Testing

@testable import QUIC

/// What does not reach ngtcp2, or not as it came.
@Suite struct PacketObserverTests {
    /// As the library would hand it over, under a key whose vector is all 7.
    private static func decrypted(_ first: UInt8, number: UInt64, length: Int = 1, _ payload: [UInt8], key: UInt = 1)
        -> (
            verdict: PacketObserver.Verdict, payload: [UInt8]
        )
    {
        var payload = payload
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
        let version: [UInt8] = first & 0x80 == 0 ? [] : [0, 0, 0, 1]
        let header = [first | UInt8(length - 1)] + version + bytes.suffix(length)
        let nonce = [7, 7, 7, 7] + bytes.map { $0 ^ 7 }
        let verdict = header.withUnsafeBytes { header in
            nonce.withUnsafeBytes { nonce in
                payload.withUnsafeMutableBytes {
                    PacketObserver.packetDecrypted(header: header, payload: $0, nonce: nonce, key: key)
                }
            }
        }
        return (verdict, payload)
    }

    private static let acknowledgement: [UInt8] = [0x02, 0x05, 0x00, 0x00, 0x05]

    @Test func `a packet that was overtaken comes without its acknowledgements`() {
        let ack = Self.acknowledgement
        var observation = PacketObservation(PacketNumbers())
        PacketObserver.observe(&observation) {
            #expect(Self.decrypted(0x40, number: 7, ack + [1]).payload == ack + [1])
            let (verdict, payload) = Self.decrypted(0x40, number: 6, [1] + ack + [1])
            #expect(verdict == .acceptable)
            #expect(payload == [1, 0, 0, 0, 0, 0, 1])
            #expect(Self.decrypted(0x40, number: 8, ack).payload == ack)
            // Each packet number space has its own numbers. In those of the handshake an old packet is dropped.
            for first: UInt8 in [0xc0, 0xe0] {
                #expect(Self.decrypted(first, number: 3, ack).verdict == .acceptable)
                #expect(Self.decrypted(first, number: 2, ack).verdict == .dropped)
                #expect(Self.decrypted(first, number: 4, ack).verdict == .acceptable)
                // Larger ones may be decoded in more than one way.
                #expect(Self.decrypted(first, number: 127, ack).verdict == .dropped)
                #expect(Self.decrypted(first, number: 256, length: 2, ack).verdict == .dropped)
            }
            #expect(Self.decrypted(0xd0, number: 0, ack).verdict == .dropped)
        }
    }

    /// Whatever was dropped in between: the number is the one that the nonce was made with.
    @Test func `packet numbers are those that the library uses`() {
        let ack = Self.acknowledgement
        let stripped = [UInt8](repeating: 0, count: ack.count)
        let numbers = PacketNumbers()
        var observation = PacketObservation(numbers)
        PacketObserver.observe(&observation) {
            #expect(Self.decrypted(0x40, number: 1, ack).payload == ack)
            #expect(Self.decrypted(0x40, number: 256, length: 2, ack).payload == ack)
            #expect(Self.decrypted(0x40, number: 0, ack).payload == stripped)
            #expect(Self.decrypted(0x40, number: 70_000, ack).payload == ack)
            #expect(Self.decrypted(0x40, number: 69_999, length: 4, ack).payload == stripped)
            // A key that nobody has told of.
            #expect(Self.decrypted(0x40, number: 70_001, ack, key: 2).verdict == .dropped)
            let vector = [UInt8](repeating: 7, count: 12)
            vector.withUnsafeBytes { numbers.keyUpdated(2, vector: $0) }
            #expect(Self.decrypted(0x40, number: 70_001, ack, key: 2).payload == ack)
            #expect(Self.decrypted(0x40, number: 70_000, length: 3, ack, key: 1).payload == stripped)
        }
    }

    /// A peer may begin with the second key; the first is not learned from what comes after that.
    @Test func `a key is learned from the very first packet only`() {
        let numbers = PacketNumbers()
        var observation = PacketObservation(numbers)
        PacketObserver.observe(&observation) {
            let vector = [UInt8](repeating: 7, count: 12)
            vector.withUnsafeBytes { numbers.keyUpdated(2, vector: $0) }
            #expect(Self.decrypted(0x40, number: 0x210, length: 2, [1], key: 2).verdict == .acceptable)
            for number: UInt64 in [0x1f0, 0x20f] {
                #expect(Self.decrypted(0x40, number: number, Self.acknowledgement, key: 1).verdict == .dropped)
            }
        }
    }

    /// ngtcp2 knows a draft of version 2, whose types of packets have other numbers.
    @Test(arguments: [(UInt32(1), true), (0, false), (0x709a_50c4, false), (0x6b33_43cf, false)])
    func `no other version than 1 is spoken`(version: UInt32, isOurs: Bool) {
        let number = (0..<4).map { UInt8(truncatingIfNeeded: version >> UInt32(24 - 8 * $0)) }
        let datagram =
            [0xc0] + number + [8] + [UInt8](repeating: 1, count: 8) + [0, 0, 0x44, 0x00]
            + [UInt8](repeating: 2, count: 1300)
        datagram.withUnsafeBytes { bytes in
            if case .packet = DatagramHeader(bytes) { #expect(isOurs) } else { #expect(!isOurs) }
            #expect((InitialPacket(bytes) != nil) == isOurs)
            if version == 0, DatagramHeader(bytes) != nil { Issue.record("would be answered") }
        }
    }

    @Test func `what ends the handshake is dropped by a client that has not ended it`() {
        let frame: [UInt8] = [0x18, 0x05, 0x00, 0x02, 7, 7] + [UInt8](repeating: 5, count: 16)
        for payload in [[0x1e], frame, [1] + frame + [0x1e]] {
            for isEarly in [false, true] {
                var observation = PacketObservation(PacketNumbers())
                observation.dropsEarly = isEarly
                let verdict = PacketObserver.observe(&observation) {
                    Self.decrypted(0x40, number: 9, payload).verdict
                }
                #expect(verdict == (isEarly ? .dropped : .acceptable))
            }
        }
    }
}
