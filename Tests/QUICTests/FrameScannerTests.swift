import TestSupport
import Testing

@testable import QUIC

@Suite struct FrameScannerTests {
    private func scan(_ bytes: [UInt8]) -> [[UInt64]] {
        self.found(in: bytes).compactMap { frame in
            if case .stopSending(let id, let code) = frame { [UInt64(id), code] } else { nil }
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

    @Test func `the end of the handshake is found`() {
        #expect(self.found(in: [1, 0x1e, 1]) == [.handshakeDone])
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
