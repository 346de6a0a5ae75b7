import AppProto
import NIOCore
import Testing

@testable import Signaling

@Suite struct BridgeQueueTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private static let peer = PeerID.random()

    private func queue(
        flowBytes: Int = 100_000, totalBytes: Int = 1_000_000, age: TimeAmount = .milliseconds(200)
    ) -> BridgeQueue<String> {
        BridgeQueue(limits: .init(flowBytes: flowBytes, totalBytes: totalBytes, age: age))
    }

    private func datagram(_ bytes: Int, _ content: UInt8 = 0) -> Bridge {
        Bridge(peerID: Self.peer, datagrams: ByteBuffer(repeating: content, count: bytes))
    }

    /// Everything that comes out, in order.
    private func drain(_ queue: inout BridgeQueue<String>, at now: NIODeadline = start) -> [String] {
        var flows: [String] = []
        while let next = queue.next(at: now) { flows.append(next.flow) }
        return flows
    }

    @Test func `one flow's datagrams come out in order`() {
        var queue = self.queue()
        for index in 0..<5 { queue.append(self.datagram(100, UInt8(index)), of: "a", at: Self.start) }
        for index in 0..<5 {
            #expect(queue.next(at: Self.start)?.bridge == self.datagram(100, UInt8(index)))
        }
        #expect(queue.next(at: Self.start) == nil)
        #expect(queue.cost == 0 && queue.isIdle)
    }

    @Test func `the newest is dropped when a line is full`() {
        var queue = self.queue(flowBytes: 3 * (1000 + 256))
        for index in 0..<5 { queue.append(self.datagram(1000, UInt8(index)), of: "a", at: Self.start) }
        #expect(queue.drops.full == 2)
        #expect(queue.next(at: Self.start)?.bridge == self.datagram(1000, 0))
        // Another flow has its own line.
        queue.append(self.datagram(1000), of: "b", at: Self.start)
        #expect(queue.drops.full == 2)
    }

    @Test func `what is too old when its turn comes is dropped`() {
        var queue = self.queue(age: .milliseconds(200))
        queue.append(self.datagram(10, 1), of: "a", at: Self.start)
        queue.append(self.datagram(10, 2), of: "a", at: Self.start + .milliseconds(150))
        #expect(queue.next(at: Self.start + .milliseconds(201))?.bridge == self.datagram(10, 2))
        #expect(queue.drops.tooOld == 1)
        queue.append(self.datagram(10, 3), of: "a", at: Self.start)
        #expect(queue.next(at: Self.start + .milliseconds(200))?.bridge == self.datagram(10, 3))
    }

    @Test func `a full line makes room by forgetting what is too old`() {
        var queue = self.queue(flowBytes: 1256)
        queue.append(self.datagram(1000, 1), of: "a", at: Self.start)
        queue.append(self.datagram(1000, 2), of: "a", at: Self.start + .milliseconds(201))
        #expect(queue.drops == .init(full: 0, tooOld: 1, ended: 0))
        #expect(queue.next(at: Self.start + .milliseconds(201))?.bridge == self.datagram(1000, 2))
    }

    @Test func `all lines together stay within the bound, and a newcomer still finds room`() {
        var queue = self.queue(flowBytes: 1_000_000, totalBytes: 100_000)
        var dropped: UInt64 = 0
        for flow in 0..<50 {
            for _ in 0..<200 { queue.append(self.datagram(100), of: "\(flow)", at: Self.start) }
            #expect(queue.cost <= 100_000)
            // Every newcomer gets in while those before have taken their shares.
            if flow < 7 { #expect(queue.drops.full < dropped + 200) }
            dropped = queue.drops.full
        }
        #expect(queue.cost > 90_000)
        #expect(self.drain(&queue).count > 0)
        #expect(queue.cost == 0)
    }

    @Test func `flows share by bytes, however large their datagrams are and however many they have`() {
        var queue = self.queue(flowBytes: 1_000_000, totalBytes: 100_000_000)
        let sizes = ["small": 100, "middle": 500, "large": 1400, "batch": 12_000]
        var sent: [String: Int] = [:]
        for _ in 0..<4000 {
            for (flow, size) in sizes { queue.append(self.datagram(size), of: flow, at: Self.start) }
            guard let next = queue.next(at: Self.start) else { continue }
            sent[next.flow, default: 0] += next.bridge.datagrams.readableBytes
        }
        let shares = sizes.keys.map { sent[$0, default: 0] }
        let mean = shares.reduce(0, +) / shares.count
        #expect(shares.allSatisfy { abs($0 - mean) < mean / 5 }, "\(sent)")
    }

    @Test func `a flow with little to say does not wait behind one with a backlog`() {
        var queue = self.queue()
        for _ in 0..<50 { queue.append(self.datagram(1400), of: "busy", at: Self.start) }
        _ = queue.next(at: Self.start)
        queue.append(self.datagram(100), of: "quiet", at: Self.start)
        let order = self.drain(&queue)
        #expect((order.firstIndex(of: "quiet") ?? 99) <= 2)
    }

    @Test func `a blocked flow leaves the rotation until it is unblocked`() {
        var queue = self.queue()
        queue.append(self.datagram(10), of: "a", at: Self.start)
        queue.append(self.datagram(10), of: "b", at: Self.start)
        var asked: [String] = []
        let next = queue.next(at: Self.start) { flow in
            asked.append(flow)
            return flow != "a"
        }
        #expect(next?.flow == "b")
        #expect(queue.isIdle)
        #expect(queue.next(at: Self.start, mayGo: { _ in true }) == nil)
        // More of it changes nothing.
        queue.append(self.datagram(10), of: "a", at: Self.start)
        #expect(queue.isIdle)
        queue.resume("a")
        queue.resume("a")
        #expect(self.drain(&queue) == ["a", "a"])
        #expect(asked == ["a", "b"])
    }

    @Test func `a flow that has ended leaves nothing`() {
        var queue = self.queue()
        for _ in 0..<3 {
            queue.append(self.datagram(10), of: "a", at: Self.start)
            queue.append(self.datagram(10), of: "b", at: Self.start)
        }
        queue.remove("a")
        queue.remove("unknown")
        #expect(queue.drops.ended == 3)
        queue.append(self.datagram(10), of: "a", at: Self.start)
        #expect(self.drain(&queue).sorted() == ["a", "b", "b", "b"])
        #expect(queue.cost == 0)
    }

    @Test func `large batches come out in pieces that fit a link`() {
        var queue = self.queue()
        queue.append(
            Bridge(peerID: Self.peer, datagrams: ByteBuffer(repeating: 0, count: 65_000), segmentSize: 1000), of: "a",
            at: Self.start)
        var pieces: [Bridge] = []
        while let next = queue.next(at: Self.start) { pieces.append(next.bridge) }
        #expect(pieces.reduce(0) { $0 + $1.datagramCount } == 65)
        #expect(pieces.allSatisfy { $0.envelope().readableBytes <= SignalLinkLimits.roomMarks.high })
        #expect(pieces.count < 8)
    }

    @Test func `a small datagram does not keep the large read that it came in in memory`() {
        var queue = self.queue()
        let read = ByteBuffer(repeating: 7, count: 60_000)
        guard let slice = read.getSlice(at: 1000, length: 100) else { return }
        queue.append(Bridge(peerID: Self.peer, datagrams: slice), of: "a", at: Self.start)
        let out = queue.next(at: Self.start)?.bridge.datagrams
        #expect(out == slice)
        #expect((out?.storageCapacity ?? .max) <= 512)
    }
}
