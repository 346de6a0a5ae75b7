import AppProto
import NIOCore
import Testing

@testable import Signaling

@Suite struct BridgeGathererTests {
    private let peer = PeerID.random()

    private func bridge(_ size: Int, _ byte: UInt8 = 1, of peer: PeerID? = nil, segmentSize: Int? = nil) -> Bridge {
        Bridge(
            peerID: peer ?? self.peer, datagrams: ByteBuffer(repeating: byte, count: size), segmentSize: segmentSize)
    }

    @Test func `datagrams of one size go together, and a smaller one ends them`() {
        var gatherer = BridgeGatherer()
        #expect(gatherer.isEmpty)
        for byte in UInt8(1)...3 { #expect(gatherer.append(self.bridge(1200, byte)) == nil) }
        #expect(gatherer.append(self.bridge(100, 4)) == nil)
        let next = self.bridge(100, 5)
        let joined = gatherer.append(next)
        #expect(joined?.segmentSize == 1200)
        #expect(joined?.datagramCount == 4)
        var bytes: [UInt8] = []
        for (byte, size) in [(1, 1200), (2, 1200), (3, 1200), (4, 100)] as [(UInt8, Int)] {
            bytes += [UInt8](repeating: byte, count: size)
        }
        #expect(joined.map { Array($0.datagrams.readableBytesView) } == bytes)
        #expect(gatherer.takeAll() == [next])
        #expect(gatherer.isEmpty)
        #expect(gatherer.takeAll() == [])
    }

    @Test func `a larger datagram goes by itself`() {
        var gatherer = BridgeGatherer()
        let small = self.bridge(100)
        let large = self.bridge(1200)
        #expect(gatherer.append(small) == nil)
        #expect(gatherer.append(large) == small)
        #expect(gatherer.takeAll() == [large])
    }

    @Test func `a few channels that take turns are each gathered separately`() {
        var gatherer = BridgeGatherer()
        let peers = (0..<BridgeGatherer.maximumChannels).map { _ in PeerID.random() }
        for byte in UInt8(1)...3 {
            for peer in peers { #expect(gatherer.append(self.bridge(100, byte, of: peer)) == nil) }
        }
        let oldest = gatherer.append(self.bridge(100))
        #expect(oldest?.peerID == peers[0])
        #expect(oldest?.datagrams.readableBytes == 300)
        let rest = gatherer.takeAll()
        #expect(rest.map(\.peerID) == peers.dropFirst() + [self.peer])
        #expect(rest.dropLast().allSatisfy { $0.segmentSize == 100 && $0.datagrams.readableBytes == 300 })
    }

    @Test func `messages of several datagrams join those of the same size`() {
        var gatherer = BridgeGatherer()
        #expect(gatherer.append(self.bridge(60)) == nil)
        #expect(gatherer.append(self.bridge(150, segmentSize: 60)) == nil)
        // What was joined ends with a smaller one.
        let more = self.bridge(60)
        let joined = gatherer.append(more)
        #expect(joined?.datagrams.readableBytes == 210)
        #expect(joined?.segmentSize == 60)
        let others = self.bridge(120, segmentSize: 40)
        #expect(gatherer.append(others) == more)
    }

    @Test func `no more than a bounded number of bytes go together`() {
        var gatherer = BridgeGatherer()
        var largest = 0
        for _ in 0..<100 {
            if let joined = gatherer.append(self.bridge(1000)) {
                largest = max(largest, joined.datagrams.readableBytes)
            }
        }
        #expect(largest == 16_000)
    }

    @Test func `a buffer that was handed in is not changed by what joins it`() {
        var gatherer = BridgeGatherer()
        let message = ByteBuffer(repeating: 7, count: 20)
        let slice = Bridge(peerID: self.peer, datagrams: message.getSlice(at: 0, length: 10) ?? message)
        #expect(gatherer.append(slice) == nil)
        #expect(gatherer.append(self.bridge(10, 9)) == nil)
        #expect(message == ByteBuffer(repeating: 7, count: 20))
    }
}
