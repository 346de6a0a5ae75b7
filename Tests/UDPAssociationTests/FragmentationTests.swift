import Basics
import NIOCore
import TestSupport
import Testing

@testable import UDPAssociation

/// From the writer to the reassembler, in virtual time.
@Suite struct FragmentationTests {
    private static let v4 = Endpoint(host: .address(IPAddress(parsing: "192.0.2.1")!), port: 53)
    private static let longName = Endpoint(host: .name(String(repeating: "a", count: 255)), port: 53)
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private static func payload(_ size: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    }

    private static func pieces(
        _ size: Int, by writer: inout FrameWriter, to endpoint: Endpoint = Self.v4, limit: Int = 1156
    ) -> [AssociationFrame] {
        var frames: [AssociationFrame] = []
        let isWritten = writer.write(self.payload(size), endpoint, limit: limit) { bytes in
            #expect(bytes.readableBytes <= limit)
            if let frame = AssociationFrame(decoding: bytes) { frames.append(frame) }
        }
        #expect(isWritten == !frames.isEmpty)
        return frames
    }

    /// Feeds frames; what became whole.
    private static func feed(
        _ frames: [AssociationFrame], to reassembler: inout DatagramReassembler, at now: NIODeadline = Self.start
    ) -> [(Endpoint, ByteBuffer)] {
        frames.compactMap { frame in
            switch frame.content {
            case .datagram(let endpoint, let payload): (endpoint, payload)
            case .fragment(let fragment): reassembler.receive(fragment, of: frame.association, at: now)
            }
        }
    }

    @Test(
        arguments: [0, 1, 1147, 1148, 1149, 1200, 1280, 1452, 2296, 4096], [1156, 1408])
    func `what is cut is put together again, in any order`(size: Int, limit: Int) throws {
        for endpoint in [Self.v4, Self.longName] {
            var writer = FrameWriter(association: AssociationID(rawValue: 70))
            let frames = Self.pieces(size, by: &writer, to: endpoint, limit: limit)
            let overhead = endpoint == Self.v4 ? 9 : 2 + 1 + 1 + 255 + 2
            #expect((frames.count == 1) == (size + overhead <= limit), "\(frames.count) frames")
            #expect(frames.count <= 5)
            for order in [frames, frames.reversed(), frames + frames] {
                var reassembler = DatagramReassembler()
                let whole = Self.feed(order, to: &reassembler)
                #expect(whole.first?.0 == endpoint)
                #expect(whole.first?.1 == Self.payload(size))
                #expect(frames.count == 1 || whole.count == 1 || order.count > frames.count)
            }
        }
    }

    @Test func `a datagram that is too large is not sent`() {
        var writer = FrameWriter(association: AssociationID(rawValue: 0))
        #expect(Self.pieces(4097, by: &writer).isEmpty)
        #expect(Self.pieces(9000, by: &writer).isEmpty)
    }

    @Test(arguments: [0, 1, 4, 8, 20, 260])
    func `a path that carries next to nothing is no trap`(limit: Int) {
        var writer = FrameWriter(association: AssociationID(rawValue: 0))
        #expect(Self.pieces(4096, by: &writer, to: Self.longName, limit: limit).isEmpty)
    }

    @Test func `pieces have about the same size`() {
        var writer = FrameWriter(association: AssociationID(rawValue: 0))
        let sizes = Self.pieces(1300, by: &writer).map { $0.encoded().readableBytes }
        #expect(sizes.count == 2)
        #expect(abs(sizes[0] - sizes[1]) <= 2, "\(sizes)")
    }

    @Test func `datagrams that lack a piece are given up in time`() {
        var writer = FrameWriter(association: AssociationID(rawValue: 0))
        var reassembler = DatagramReassembler()
        let frames = Self.pieces(2000, by: &writer)
        #expect(Self.feed([frames[0]], to: &reassembler).isEmpty)
        #expect(reassembler.nextDeadline == Self.start + .seconds(1))
        reassembler.expire(at: Self.start + .milliseconds(999))
        #expect(reassembler.abandoned == 0)
        reassembler.expire(at: Self.start + .seconds(1))
        #expect(reassembler.abandoned == 1)
        #expect(reassembler.nextDeadline == nil)
        // The rest comes too late.
        #expect(Self.feed([frames[1]], to: &reassembler, at: Self.start + .seconds(1)).isEmpty)
    }

    @Test func `what never becomes whole takes bounded memory, and the newest still does`() {
        var reassembler = DatagramReassembler()
        for association in 0..<16 as Range<UInt64> {
            var writer = FrameWriter(association: AssociationID(rawValue: association))
            for _ in 0..<40 {
                _ = Self.feed(Array(Self.pieces(4096, by: &writer).dropLast()), to: &reassembler)
            }
        }
        #expect(reassembler.size.count <= 256)
        #expect(reassembler.size.bytes <= 512 << 10)
        #expect(reassembler.abandoned >= 640 - 256)
        var writer = FrameWriter(association: AssociationID(rawValue: 99))
        #expect(Self.feed(Self.pieces(4096, by: &writer), to: &reassembler).count == 1)
        for association in 0..<100 as Range<UInt64> { reassembler.remove(AssociationID(rawValue: association)) }
        #expect(reassembler.size == (0, 0))
        #expect(reassembler.nextDeadline == nil)
    }

    @Test func `one association cannot crowd out another's pieces`() {
        var reassembler = DatagramReassembler()
        var (first, second) = (
            FrameWriter(association: AssociationID(rawValue: 1)), FrameWriter(association: AssociationID(rawValue: 2))
        )
        let frames = Self.pieces(2000, by: &first)
        _ = Self.feed([frames[0]], to: &reassembler)
        for _ in 0..<1000 { _ = Self.feed(Array(Self.pieces(2000, by: &second).prefix(1)), to: &reassembler) }
        #expect(Self.feed([frames[1]], to: &reassembler).count == 1)
    }

    @Test func `numbers that come again do not mix datagrams`() {
        let id = AssociationID(rawValue: 1)
        func piece(_ packet: UInt16, _ index: Int, _ text: String) -> AssociationFrame.Fragment {
            AssociationFrame.Fragment(
                packet: packet, index: index, count: 2, endpoint: index == 0 ? Self.v4 : nil,
                payload: ByteBuffer(string: text))
        }
        var reassembler = DatagramReassembler()
        #expect(reassembler.receive(piece(0, 0, "stale"), of: id, at: Self.start) == nil)
        // Others pass by, all at the same time, until the numbers have gone round.
        for packet in stride(from: UInt16(500), to: 65_000, by: 500) {
            #expect(reassembler.receive(piece(packet, 0, "a"), of: id, at: Self.start) == nil)
            #expect(reassembler.receive(piece(packet, 1, "b"), of: id, at: Self.start) != nil)
        }
        #expect(reassembler.abandoned == 1)
        #expect(reassembler.receive(piece(0, 1, "sh"), of: id, at: Self.start) == nil)
        #expect(reassembler.receive(piece(0, 0, "fre"), of: id, at: Self.start)?.payload == ByteBuffer(string: "fresh"))
    }

    @Test func `pieces that do not fit together are dropped with what was there`() {
        let id = AssociationID(rawValue: 1)
        func piece(_ index: Int, of count: Int, _ size: Int) -> AssociationFrame.Fragment {
            AssociationFrame.Fragment(
                packet: 7, index: index, count: count, endpoint: index == 0 ? Self.v4 : nil,
                payload: Self.payload(size))
        }
        for pieces in [
            [piece(0, of: 2, 10), piece(1, of: 3, 10)],
            [piece(0, of: 3, 1400), piece(1, of: 3, 1400), piece(2, of: 3, 1400)],
            [piece(0, of: 2, 10), piece(5, of: 2, 10)],
        ] {
            var reassembler = DatagramReassembler()
            #expect(pieces.allSatisfy { reassembler.receive($0, of: id, at: Self.start) == nil })
            #expect(reassembler.abandoned == 1)
            #expect(reassembler.size == (0, 0))
        }
    }

    @Test func `the same piece over and over is bounded as well`() {
        var reassembler = DatagramReassembler()
        let fragment = AssociationFrame.Fragment(
            packet: 7, index: 0, count: 2, endpoint: Self.v4, payload: Self.payload(1100))
        for _ in 0..<2000 {
            _ = reassembler.receive(fragment, of: AssociationID(rawValue: 1), at: Self.start)
            #expect(reassembler.size.bytes <= 512 << 10)
        }
    }

    @Test func `in a lossy network what arrives in full is what was sent`() {
        var random = SeededGenerator(7)
        var reassembler = DatagramReassembler()
        var writer = FrameWriter(association: AssociationID(rawValue: 5))
        var now = Self.start
        var (sent, whole) = (0, 0)
        var late: [AssociationFrame] = []
        for _ in 0..<2000 {
            now = now + .milliseconds(5)
            let size = Int.random(in: 1149...4096, using: &random)
            var frames = Self.pieces(size, by: &writer)
            sent += 1
            if Int.random(in: 0..<10, using: &random) == 0 { frames.shuffle(using: &random) }
            if Int.random(in: 0..<20, using: &random) == 0 { late.append(frames.removeLast()) }
            if Int.random(in: 0..<10, using: &random) == 0 { frames.removeFirst() }
            frames += late.count > 3 ? [late.removeFirst()] : []
            for (endpoint, payload) in Self.feed(frames, to: &reassembler, at: now) {
                whole += 1
                #expect(endpoint == Self.v4)
                #expect(payload == Self.payload(payload.readableBytes))
            }
        }
        #expect(whole > sent * 4 / 5, "\(whole) of \(sent)")
        #expect(whole < sent)
    }
}
