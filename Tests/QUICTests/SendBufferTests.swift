internal import CNgtcp2
import NIOCore
import TestSupport
import Testing

@testable import QUIC

@Suite struct SendBufferTests {
    /// Reads the unsent bytes as ngtcp2 would.
    private func unsent(_ buffer: borrowing SendBuffer, limit: Int = .max) -> [UInt8] {
        let vectors = UnsafeMutablePointer<ngtcp2_vec>.allocate(capacity: 64)
        defer { vectors.deallocate() }
        let (pieces, bytes) = buffer.describeUnsent(in: vectors, capacity: 64, limit: limit)
        var result: [UInt8] = []
        for index in 0..<pieces {
            result += UnsafeBufferPointer(start: vectors[index].base, count: vectors[index].len)
        }
        #expect(result.count == bytes)
        return result
    }

    @Test func `bytes are described in order until they are sent`() {
        var buffer = SendBuffer()
        buffer.append(ByteBuffer(string: "hello "))
        buffer.append(ByteBuffer(string: "world"))
        #expect(self.unsent(buffer) == Array("hello world".utf8))
        buffer.markSent(3)
        #expect(self.unsent(buffer) == Array("lo world".utf8))
        #expect(buffer.unsentBytes == 8)
        buffer.markSent(8)
        #expect(self.unsent(buffer) == [])
        buffer.append(ByteBuffer(string: "!"))
        #expect(self.unsent(buffer) == Array("!".utf8))
    }

    @Test func `what was sent stays until it is acknowledged`() {
        var buffer = SendBuffer()
        let bytes = Pump.bytes(100_000)
        buffer.append(ByteBuffer(bytes: bytes))
        buffer.markSent(50_000)
        buffer.acknowledge(upTo: 40_000)
        #expect(self.unsent(buffer) == Array(bytes[50_000...]))
        buffer.markSent(50_000)
        buffer.acknowledge(upTo: 100_000)
        #expect(buffer.acknowledgedOffset == 100_000)
        buffer.append(ByteBuffer(bytes: bytes))
        #expect(self.unsent(buffer) == bytes)
    }

    @Test func `dropping forgets the unsent bytes only`() {
        var buffer = SendBuffer()
        buffer.append(ByteBuffer(bytes: Pump.bytes(100_000)))
        buffer.markSent(10)
        buffer.dropUnsent()
        #expect(buffer.unsentBytes == 0)
        #expect(self.unsent(buffer) == [])
        buffer.acknowledge(upTo: 10)
        buffer.dropUnsent()
    }

    @Test func `random use keeps the order`() {
        var random = SeededGenerator(3)
        let vectors = UnsafeMutablePointer<ngtcp2_vec>.allocate(capacity: 4)
        defer { vectors.deallocate() }
        for _ in 0..<20 {
            var buffer = SendBuffer()
            var written = 0
            var sent = 0
            for _ in 0..<300 {
                switch Int.random(in: 0..<4, using: &random) {
                case 0, 1:
                    let count = Int.random(in: 0...Int.random(in: 1...3_000, using: &random), using: &random)
                    buffer.append(ByteBuffer(bytes: (written..<written + count).map(Self.byte)))
                    written += count
                case 2:
                    let count = Int.random(in: 0...written - sent, using: &random)
                    buffer.markSent(count)
                    sent += count
                default:
                    buffer.acknowledge(
                        upTo: UInt64.random(in: buffer.acknowledgedOffset...UInt64(sent), using: &random))
                }
                #expect(buffer.unsentBytes == written - sent)
                let (pieces, bytes) = buffer.describeUnsent(in: vectors, capacity: 4, limit: 1000)
                #expect(bytes >= min(written - sent, 1000))
                var position = sent
                for index in 0..<pieces {
                    // The ends of a piece tell whether it is the right one.
                    #expect(vectors[index].base[0] == Self.byte(position))
                    position += vectors[index].len
                    #expect(vectors[index].base[vectors[index].len - 1] == Self.byte(position - 1))
                }
                #expect(position == sent + bytes)
            }
        }
    }

    /// The byte at a position of the stream.
    private static func byte(_ position: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: position &* 7 &+ position >> 8)
    }
}
