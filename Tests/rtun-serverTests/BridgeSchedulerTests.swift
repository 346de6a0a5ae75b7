import AppProto
import NIOCore
import Signaling
import Testing

@testable import rtun_server

@Suite struct BridgeSchedulerTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let agent = SessionID(1)
    private let client = SessionID(2)

    private func scheduler(
        channel: UInt64? = nil, total: UInt64? = nil, waiting: BridgeQueue<BridgeScheduler.Flow>.Limits? = nil
    ) -> BridgeScheduler {
        var limits = BridgeScheduler.Limits()
        limits.channelRate = channel.map { BitRate(bitsPerSecond: $0) }
        limits.totalRate = total.map { BitRate(bitsPerSecond: $0) }
        if let waiting { limits.waiting = waiting }
        return BridgeScheduler(limits, at: Self.start)
    }

    private func datagram(_ bytes: Int = 1200, peer: PeerID) -> Bridge {
        Bridge(peerID: peer, datagrams: ByteBuffer(repeating: 0, count: bytes))
    }

    private func flow(_ peer: PeerID, to session: SessionID? = nil) -> BridgeScheduler.Flow {
        BridgeScheduler.Flow(peer: peer, destination: session ?? self.agent)
    }

    /// Lets senders offer what they like, and the links take all, for `time`; returns the bytes that each channel got
    /// through. Steps of 1 ms, as timers make them.
    private func run(
        _ scheduler: inout BridgeScheduler, for time: TimeAmount,
        offers: [(flow: BridgeScheduler.Flow, datagrams: Int)],
        size: Int = 1200
    ) -> [PeerID: Int] {
        var carried: [PeerID: Int] = [:]
        var now = Self.start
        while now < Self.start + time {
            for offer in offers {
                for _ in 0..<offer.datagrams {
                    scheduler.append(self.datagram(size, peer: offer.flow.peer), of: offer.flow, at: now)
                }
            }
            while let next = scheduler.next(at: now, hasRoom: { _ in true }) {
                carried[next.bridge.peerID, default: 0] += next.bridge.datagrams.readableBytes
            }
            now = now + .milliseconds(1)
        }
        return carried
    }

    @Test func `without limits everything goes at once`() {
        var scheduler = self.scheduler()
        let peer = PeerID.random()
        scheduler.append(self.datagram(peer: peer), of: self.flow(peer), at: Self.start)
        let next = scheduler.next(at: Self.start) { _ in true }
        #expect(next?.destination == self.agent)
        #expect(next?.bridge.peerID == peer)
        #expect(scheduler.next(at: Self.start) { _ in true } == nil)
        #expect(scheduler.nextDeadline == nil)
    }

    @Test(arguments: [(1000, nil), (nil, 1000)] as [(UInt64?, UInt64?)])
    func `changed rates apply at once, also to waiting datagrams`(channel: UInt64?, total: UInt64?) {
        var scheduler = self.scheduler(channel: channel, total: total)
        let peer = PeerID.random()
        for _ in 0..<20 { scheduler.append(self.datagram(peer: peer), of: self.flow(peer), at: Self.start) }
        var carried = 0
        while scheduler.next(at: Self.start, hasRoom: { _ in true }) != nil { carried += 1 }
        #expect(carried < 20)
        // At 1000 bits a second the next one would have to wait for ten seconds.
        scheduler.change(to: BridgeScheduler.Limits(), at: Self.start)
        while scheduler.next(at: Self.start, hasRoom: { _ in true }) != nil { carried += 1 }
        #expect(carried == 20)
        var slow = BridgeScheduler.Limits()
        slow.channelRate = BitRate(bitsPerSecond: 1_000_000)
        scheduler.change(to: slow, at: Self.start)
        let bytes = self.run(&scheduler, for: .seconds(10), offers: [(self.flow(peer), 2)])[peer, default: 0]
        #expect((0.97...1.03).contains(Double(bytes) * 8 / 10 / 1_000_000), "\(bytes)")
    }

    @Test(arguments: [64_000, 1_000_000, 20_000_000, 500_000_000] as [UInt64])
    func `a channel gets its rate, and not more`(rate: UInt64) {
        var scheduler = self.scheduler(channel: rate)
        let peer = PeerID.random()
        let perStep = Int(rate * 2 / 8 / 1000 / 1200) + 1
        let carried = self.run(&scheduler, for: .seconds(10), offers: [(self.flow(peer), perStep)])
        let share = Double(carried[peer, default: 0]) * 8 / 10 / Double(rate)
        // The bucket is full at first: 16 KiB, which the slowest of them takes 2 s for.
        #expect(0.97 < share && share < (rate < 100_000 ? 1.25 : 1.03), "\(share)")
    }

    @Test func `each direction of a channel has the rate for itself`() {
        var scheduler = self.scheduler(channel: 1_000_000)
        let peer = PeerID.random()
        let carried = self.run(
            &scheduler, for: .seconds(10), offers: [(self.flow(peer), 1), (self.flow(peer, to: self.client), 1)])
        let rate = Double(carried[peer, default: 0]) * 8 / 10
        #expect(1_950_000 < rate && rate < 2_060_000)
    }

    @Test func `a hundred channels share the total rate, whatever they offer, and memory stays flat`() {
        var scheduler = self.scheduler(total: 20_000_000)
        let flows = (0..<100).map { _ in self.flow(.random()) }
        // The least of them offers 1.2 Mbit/s more than its share.
        let offers = flows.enumerated().map { ($1, $0 % 10 == 0 ? 10 : 1) }
        let carried = self.run(&scheduler, for: .seconds(5), offers: offers, size: 180)
        let shares = flows.map { carried[$0.peer, default: 0] }
        let mean = shares.reduce(0, +) / shares.count
        #expect(abs(Double(mean) * 100 * 8 / 5 - 20_000_000) < 1_000_000)
        #expect(shares.allSatisfy { abs($0 - mean) <= mean / 5 }, "\(shares.sorted())")
        #expect(scheduler.cost <= 100 * 128 * 1024)
        #expect(scheduler.drops.full > 0 && scheduler.drops.tooOld > 0)
    }

    @Test func `a channel in batches gets no more than one in single datagrams`() {
        var scheduler = self.scheduler(total: 10_000_000)
        let (single, batched) = (PeerID.random(), PeerID.random())
        var carried: [PeerID: Int] = [:]
        var now = Self.start
        for _ in 0..<5000 {
            scheduler.append(self.datagram(1200, peer: single), of: self.flow(single), at: now)
            scheduler.append(
                Bridge(peerID: batched, datagrams: ByteBuffer(repeating: 0, count: 60_000), segmentSize: 1200),
                of: self.flow(batched), at: now)
            while let next = scheduler.next(at: now, hasRoom: { _ in true }) {
                carried[next.bridge.peerID, default: 0] += next.bridge.datagrams.readableBytes
            }
            now = now + .milliseconds(1)
        }
        let (left, right) = (carried[single, default: 0], carried[batched, default: 0])
        #expect(abs(left - right) < (left + right) / 20, "\(left) \(right)")
    }

    @Test func `datagrams for a link without room wait and leave the others alone`() {
        var scheduler = self.scheduler()
        let (slow, fast) = (PeerID.random(), PeerID.random())
        let full = SessionID(9)
        for _ in 0..<3 {
            scheduler.append(self.datagram(peer: slow), of: self.flow(slow, to: full), at: Self.start)
            scheduler.append(self.datagram(peer: fast), of: self.flow(fast), at: Self.start)
        }
        var asked = 0
        var carried: [PeerID] = []
        while let next = scheduler.next(
            at: Self.start,
            hasRoom: { session in
                asked += session == full ? 1 : 0
                return session != full
            })
        {
            carried.append(next.bridge.peerID)
        }
        #expect(carried == [fast, fast, fast])
        // A link without room costs one question, not one for each datagram.
        #expect(asked == 1)
        #expect(scheduler.waits == .init(rate: 0, link: 1))
        #expect(scheduler.nextDeadline == nil)
        #expect(scheduler.next(at: Self.start) { _ in true } == nil)
        scheduler.linkHasRoom(full)
        #expect(scheduler.next(at: Self.start) { _ in true }?.destination == full)
        // By now the others are too old.
        #expect(scheduler.next(at: Self.start + .milliseconds(251)) { _ in true } == nil)
        #expect(scheduler.drops.tooOld == 2)
        #expect(scheduler.cost == 0)
    }

    @Test func `the time of the next send is known`() throws {
        var scheduler = self.scheduler(channel: 1_000_000)
        let peer = PeerID.random()
        for _ in 0..<30 { scheduler.append(self.datagram(peer: peer), of: self.flow(peer), at: Self.start) }
        var count = 0
        while scheduler.next(at: Self.start, hasRoom: { _ in true }) != nil { count += 1 }
        #expect(count < 20)
        let deadline = try #require(scheduler.nextDeadline)
        #expect(deadline > Self.start)
        #expect(deadline < Self.start + .milliseconds(11))
        #expect(scheduler.next(at: deadline - .microseconds(1)) { _ in true } == nil)
        #expect(scheduler.next(at: deadline) { _ in true } != nil)

        var total = self.scheduler(total: 1_000_000)
        for _ in 0..<30 { total.append(self.datagram(peer: peer), of: self.flow(peer), at: Self.start) }
        while total.next(at: Self.start, hasRoom: { _ in true }) != nil {}
        let next = try #require(total.nextDeadline)
        #expect(Self.start < next && next < Self.start + .milliseconds(11))
        #expect(total.next(at: next) { _ in true } != nil)
    }

    @Test func `what waits is limited, and gone when channels end`() {
        var scheduler = self.scheduler(
            waiting: .init(flowBytes: 128 * 1024, totalBytes: 1024 * 1024, age: .milliseconds(250)))
        let peers = (0..<200).map { _ in PeerID.random() }
        for peer in peers {
            for _ in 0..<50 { scheduler.append(self.datagram(peer: peer), of: self.flow(peer), at: Self.start) }
            #expect(scheduler.cost <= 1024 * 1024)
        }
        #expect(scheduler.next(at: Self.start) { _ in false } == nil)
        for peer in peers { scheduler.remove(self.flow(peer)) }
        scheduler.remove(self.agent)
        #expect(scheduler.cost == 0)
        #expect(scheduler.drops.full + scheduler.drops.ended == 200 * 50)
    }

    @Test func `a channel that pauses between datagrams does not get around its rate`() {
        var scheduler = self.scheduler(channel: 1_000_000)
        let peer = PeerID.random()
        // One at a time, so that nothing ever waits.
        let carried = self.run(&scheduler, for: .seconds(10), offers: [(self.flow(peer), 1)], size: 1200)
        #expect(Double(carried[peer, default: 0]) * 8 / 10 < 1_030_000)
    }
}
