import Testing

@testable import rtun_link

struct DirectionTests {
    /// 12 Mbit/s: a packet of 1500 bytes takes a millisecond.
    private func properties(delay: Int64 = 0, queue: Int = 1 << 20, loss: Double = 0) -> Direction.Properties {
        Direction.Properties(rate: 12e6, delay: delay, queue: queue, loss: loss)
    }

    private let packet = [UInt8](repeating: 1, count: 1500)
    private let millisecond: Int64 = 1_000_000

    private func receive(_ direction: inout Direction, _ count: Int, at now: Int64) {
        for _ in 0..<count { self.packet.withUnsafeBytes { direction.receive($0, at: now) } }
    }

    /// When each packet on the way arrives.
    private func arrivals(_ direction: inout Direction) -> [Int64] {
        var times: [Int64] = []
        while let time = direction.nextTime {
            direction.deliverDue(at: time) { _ in
                times.append(time); return true
            }
        }
        return times
    }

    @Test func `a packet takes its time with the transmitter, and then the delay`() {
        var direction = Direction(self.properties(delay: 20 * self.millisecond), seed: 1)
        self.receive(&direction, 1, at: 0)
        #expect(self.arrivals(&direction) == [21 * self.millisecond])
    }

    @Test func `packets that come together leave at the rate`() {
        var direction = Direction(self.properties(), seed: 1)
        self.receive(&direction, 3, at: 0)
        self.receive(&direction, 1, at: 10 * self.millisecond)
        #expect(self.arrivals(&direction) == [1, 2, 3, 11].map { $0 * self.millisecond })
        #expect(direction.counters.largestQueueingDelay == 2 * self.millisecond)
    }

    @Test func `what is more than the queue holds is dropped`() {
        var direction = Direction(self.properties(queue: 3 * 1500), seed: 1)
        self.receive(&direction, 5, at: 0)
        #expect(direction.counters.droppedByQueue == 2)
        // A packet's place is free when the one in front has left.
        self.receive(&direction, 2, at: self.millisecond)
        #expect(direction.counters.droppedByQueue == 3)
        #expect(self.arrivals(&direction).count == 4)
    }

    @Test func `as many packets get lost as was said, and the same ones with the same seed`() {
        func lost(seed: UInt64) -> (arrivals: [Int64], count: Int) {
            var direction = Direction(self.properties(queue: 1 << 28, loss: 0.03), seed: seed)
            self.receive(&direction, 20_000, at: 0)
            return (self.arrivals(&direction), direction.counters.lost)
        }
        let first = lost(seed: 1)
        #expect((500...700).contains(first.count))
        #expect(first.arrivals == lost(seed: 1).arrivals)
        #expect(first.arrivals != lost(seed: 2).arrivals)
    }

    @Test func `a packet that gets lost has taken its time all the same`() {
        var direction = Direction(self.properties(loss: 1), seed: 1)
        self.receive(&direction, 2, at: 0)
        #expect(direction.nextTime == nil)
        self.receive(&direction, 1, at: self.millisecond)
        #expect(direction.counters.lost == 3)
        #expect(direction.counters.largestQueueingDelay == self.millisecond)
    }
}
