import NIOCore
import Testing

@testable import AppProto

@Suite struct BridgeTests {
    private static let peer = PeerID(bytes: Array(0..<16))

    private static func bridge(_ bytes: Int, segmentSize: Int? = nil) throws -> Bridge {
        Bridge(
            peerID: try #require(self.peer),
            datagrams: ByteBuffer(bytes: (0..<bytes).map { UInt8(truncatingIfNeeded: $0) }), segmentSize: segmentSize)
    }

    static let shapes: [(Int, Int?)] = [
        (1, nil), (127, nil), (128, nil), (1200, nil), (16_383, nil), (16_384, nil), (65_507, nil), (1, 1),
        (2500, 1200),
        (2400, 1200), (65_507, 127), (65_507, 65_507),
    ]

    @Test(arguments: shapes) func `the fast encoding and decoding of a bridge message agree with protobuf's`(
        bytes: Int, segmentSize: Int?
    ) throws {
        let bridge = try Self.bridge(bytes, segmentSize: segmentSize)
        let message = bridge.envelope()
        #expect(message == Envelope(.bridge(bridge)).encoded())
        #expect(message.readableBytes <= bytes + Bridge.envelopeOverhead)
        #expect(Bridge(envelope: message) == bridge)
        #expect(try Envelope(decoding: message).body == .bridge(bridge))
    }

    @Test func `a message in a buffer that holds more is read from where it starts`() throws {
        let bridge = try Self.bridge(100)
        var buffer = ByteBuffer(string: "before")
        buffer.writeImmutableBuffer(bridge.envelope())
        buffer.moveReaderIndex(forwardBy: 6)
        #expect(Bridge(envelope: buffer) == bridge)
    }

    @Test func `cut and damaged messages are read as protobuf reads them`() throws {
        let message = Array(try Self.bridge(40, segmentSize: 20).envelope().readableBytesView)
        for length in 0..<message.count {
            #expect(Bridge(envelope: ByteBuffer(bytes: message.prefix(length))) == nil)
        }
        for (index, bit) in zip(0..<message.count, 0..<8).map({ $0 })
            + (0..<29).flatMap({ i in (0..<8).map { (i, $0) } })
        {
            var changed = message
            changed[index] ^= 1 << bit
            let buffer = ByteBuffer(bytes: changed)
            guard let bridge = Bridge(envelope: buffer) else { continue }
            #expect(try Envelope(decoding: buffer) == Envelope(.bridge(bridge)))
        }
        #expect(Bridge(envelope: ByteBuffer(bytes: message + [0])) == nil)
    }

    @Test func `random bytes after the tag do no harm`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes: [UInt8] = [0xCA, 0x01]
            for _ in 0..<Int.random(in: 0...40, using: &generator) {
                bytes.append(.random(in: 0...255, using: &generator))
            }
            let buffer = ByteBuffer(bytes: bytes)
            if let bridge = Bridge(envelope: buffer) {
                #expect((try? Envelope(decoding: buffer).body) == .bridge(bridge))
            }
        }
    }

    @Test func `a bridge message without datagrams, with too many bytes or too large segments is refused`() throws {
        for bridge in [
            try Self.bridge(0), try Self.bridge(65_508), try Self.bridge(10, segmentSize: 11),
        ] {
            #expect(Bridge(envelope: bridge.envelope()) == nil)
        }
    }

    @Test(arguments: [
        (2500, 1200 as Int?, 1300, [1200, 1300]),
        (2500, 1200 as Int?, 1299, [1200, 1200, 100]),
        (2500, 1200, 2400, [2400, 100]),
        (2500, 1200, 9000, [2500]),
        (2500, 1200, 1, [1200, 1200, 100]),
        (2500, nil, 1000, [2500]),
        (10, 20, 1, [10]),
    ]) func `a bridge message is split between datagrams`(bytes: Int, segmentSize: Int?, limit: Int, parts: [Int])
        throws
    {
        var rest = try Self.bridge(bytes, segmentSize: segmentSize)
        let count = rest.datagramCount
        var taken: [Bridge] = []
        while let part = rest.popFirst(atMost: limit) { taken.append(part) }
        #expect(taken.map(\.datagrams.readableBytes) == parts)
        #expect(taken.allSatisfy { Bridge(envelope: $0.envelope()) == $0 })
        #expect(taken.reduce(0) { $0 + $1.datagramCount } == count)
        #expect(
            taken.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1.datagrams) }
                == (try Self.bridge(bytes).datagrams))
    }

    @Test(arguments: [(1, nil as Int?, 1), (2500, 1200, 3), (2400, 1200, 2), (1200, 1200, 1), (5, 1, 5)])
    func `a bridge message knows how many datagrams it has`(bytes: Int, segmentSize: Int?, count: Int) throws {
        #expect(try Self.bridge(bytes, segmentSize: segmentSize).datagramCount == count)
    }
}
