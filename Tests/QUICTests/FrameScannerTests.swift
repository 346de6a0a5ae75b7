import TestSupport
import Testing

@testable import QUIC

@Suite struct FrameScannerTests {
    private func scan(_ bytes: [UInt8]) -> [[UInt64]] {
        bytes.withUnsafeBytes { bytes in
            var scanner = FrameScanner(bytes)
            var found: [[UInt64]] = []
            while let frame = scanner.next() {
                if case .stopSending(let id, let code) = frame { found.append([UInt64(id), code]) }
            }
            return found
        }
    }

    private func found(in bytes: [UInt8]) -> [FrameScanner.Frame] {
        bytes.withUnsafeBytes { bytes in
            var scanner = FrameScanner(bytes)
            return Array(sequence(state: ()) { _ in scanner.next() })
        }
    }

    static let frames: [(String, [UInt8])] = [
        ("PADDING", [0, 0, 0]),
        ("PING", [1]),
        ("ACK", [0x02, 0x40, 0x64, 0x00, 0x02, 0x05, 0x00, 0x01, 0x00, 0x02]),
        ("ACK with ECN", [0x03, 0x0a, 0x00, 0x00, 0x03, 0x01, 0x02, 0x03]),
        ("RESET_STREAM", [0x04, 0x00, 0x05, 0x41, 0x00]),
        ("CRYPTO", [0x06, 0x00, 0x03, 5, 5, 5]),
        ("NEW_TOKEN", [0x07, 0x02, 5, 5]),
        ("STREAM with length", [0x0a, 0x04, 0x03, 5, 5, 5]),
        ("STREAM with offset and length", [0x0f, 0x04, 0x80, 0, 0, 1, 0x02, 5, 5]),
        ("MAX_DATA", [0x10, 0xc0, 0, 0, 0, 0, 0, 0, 5]),
        ("MAX_STREAM_DATA", [0x11, 0x04, 0x05]),
        ("MAX_STREAMS", [0x12, 0x05]),
        ("STREAM_DATA_BLOCKED", [0x15, 0x04, 0x05]),
        ("NEW_CONNECTION_ID", [0x18, 0x01, 0x00, 0x02, 5, 5] + [UInt8](repeating: 5, count: 16)),
        ("RETIRE_CONNECTION_ID", [0x19, 0x00]),
        ("PATH_CHALLENGE", [0x1a] + [UInt8](repeating: 5, count: 8)),
        ("PATH_RESPONSE", [0x1b] + [UInt8](repeating: 5, count: 8)),
        ("CONNECTION_CLOSE of QUIC", [0x1c, 0x05, 0x00, 0x02, 5, 5]),
        ("CONNECTION_CLOSE of the application", [0x1d, 0x05, 0x02, 5, 5]),
        ("DATAGRAM with length", [0x31, 0x02, 5, 5]),
    ]

    @Test(arguments: frames) func `a stop is found behind any frame`(name: String, frame: [UInt8]) {
        let stop: [UInt8] = [0x05, 0x44, 0x00, 0x21]
        #expect(self.scan(frame + stop + [1] + frame + [0x05, 0x08, 0x07]) == [[0x400, 0x21], [8, 7]])
        #expect(self.scan(frame) == [])
    }

    @Test func `a path challenge is found in front of and behind other frames`() {
        let challenge: [UInt8] = [0x1a] + [UInt8](repeating: 5, count: 8)
        let bytes = [1] + challenge + [0x05, 0x08, 0x07] + challenge + challenge.dropLast()
        #expect(
            self.found(in: bytes) == [.pathChallenge, .stopSending(streamID: 8, code: 7), .pathChallenge, .unreadable])
    }

    @Test func `a demand to retire connection ids is found`() {
        let frame: [UInt8] = [0x18, 0x05, 0x41, 0x00, 0x02, 7, 7] + [UInt8](repeating: 5, count: 16)
        #expect(
            self.found(in: frame + [0x18, 0x06, 0x00] + frame.dropFirst(4))
                == [.newConnectionID(retirePriorTo: 256), .newConnectionID(retirePriorTo: 0)])
    }

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

    @Test func `bytes of a stream or a datagram that reaches to the end are no frames`() {
        for rest: [UInt8] in [
            [0x08, 0x04, 0x05, 0x04, 0x07], [0x0c, 0x04, 0x00, 0x05, 0x04, 0x07], [0x30, 0x05, 0x04, 0x07],
        ] {
            #expect(self.found(in: rest) == [])
        }
    }

    /// ngtcp2 0.12 takes some of them for STREAM, and reads on.
    @Test func `nothing hides behind what is no frame`() {
        let known = Set<UInt8>(0x00...0x1e).union([0x30, 0x31])
        for type in UInt8.min...UInt8.max where !known.contains(type) {
            #expect(self.found(in: [1, type, 0, 0, 0x05, 0x04, 0x07]) == [.unreadable])
        }
        for (name, frame) in Self.frames where name != "PADDING" && name != "PING" {
            #expect(self.found(in: Array(frame.dropLast())).last == .unreadable, "\(name)")
        }
    }

    @Test func `the end of the handshake is found, and dropped by a client that has not ended it`() {
        #expect(self.found(in: [1, 0x1e, 1]) == [.handshakeDone])
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

    @Test func `truncated and random payloads are harmless`() {
        for (_, frame) in Self.frames {
            for length in 0..<frame.count { _ = self.scan(Array(frame.prefix(length))) }
        }
        #expect(self.scan([0x05]) == [])
        #expect(self.scan([0x05, 0x04]) == [])
        #expect(self.scan([0x05, 0x04, 0xc0, 1]) == [])
        #expect(self.scan([0x06, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x05, 0, 0]) == [])
        #expect(self.scan([0x02, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x05, 0, 0]) == [])
        var random = SeededGenerator(1)
        for _ in 0..<2000 {
            _ = self.scan(
                (0..<Int.random(in: 0...100, using: &random)).map { _ in UInt8.random(in: .min ... .max, using: &random)
                })
        }
    }
}
