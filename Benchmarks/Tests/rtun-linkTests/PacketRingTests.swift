import Testing

@testable import rtun_link

struct PacketRingTests {
    private func append(_ ring: inout PacketRing, _ number: UInt8, length: Int, at time: Int64) -> Bool {
        [UInt8](repeating: number, count: length).withUnsafeBytes { ring.append($0, arrivingAt: time) }
    }

    @Test func `packets come out as they went in, wherever the ring is just then`() {
        var generator = SplitMix64(seed: 7)
        var ring = PacketRing(capacity: 4096)
        var expected: [(number: UInt8, length: Int, time: Int64)] = []
        for step in 0..<20_000 {
            if Bool.random(using: &generator) {
                let length = Int.random(in: 1...1500, using: &generator)
                if self.append(&ring, UInt8(truncatingIfNeeded: step), length: length, at: Int64(step)) {
                    expected.append((UInt8(truncatingIfNeeded: step), length, Int64(step)))
                } else {
                    // An empty ring has room for the largest packet.
                    #expect(!expected.isEmpty)
                }
            } else if !expected.isEmpty {
                let next = expected.removeFirst()
                #expect(ring.nextTime == next.time)
                ring.removeFirst { packet in
                    #expect(packet.count == next.length)
                    #expect(packet.allSatisfy { $0 == next.number })
                }
            }
            #expect(ring.count == expected.count)
        }
    }

    @Test func `a full ring takes nothing, and goes on when there is room`() {
        var ring = PacketRing(capacity: 3 * 1024)
        var taken = 0
        while self.append(&ring, 1, length: 1008, at: 0) { taken += 1 }
        #expect(taken == 3)
        ring.removeFirst { _ in }
        #expect(self.append(&ring, 2, length: 1008, at: 1))
        for _ in 0..<3 { ring.removeFirst { _ in } }
        #expect(ring.nextTime == nil)
    }
}
