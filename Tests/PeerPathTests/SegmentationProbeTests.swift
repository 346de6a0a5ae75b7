import NIOCore
import STUN
import Testing

@testable import PeerPath

@Suite struct SegmentationProbeTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    /// A path with a clock, and a device on it that swallows sends of several segments or not.
    private struct Path {
        var probe = SegmentationProbe()
        var now = SegmentationProbeTests.start
        var swallows = false
        var isDead = false
        private(set) var bursts: [Int] = []
        private var random = SystemRandomNumberGenerator()

        /// A batch is sent, and 10 ms later the answers to what was asked because of it come; then time passes.
        mutating func send(_ segments: Int = 20, then wait: TimeAmount = .seconds(1)) -> Bool {
            let isAllowed = self.probe.allows(segments: segments, at: self.now)
            if let size = self.probe.nextBurst() {
                self.bursts.append(size)
                let burst = (0..<size).map { _ in TransactionID.random(using: &self.random) }
                let single = TransactionID.random(using: &self.random)
                self.probe.sent((burst, single), roundTripTime: .milliseconds(10), at: self.now)
                self.now = self.now + .milliseconds(10)
                if !self.isDead {
                    if !self.swallows { self.probe.answered(burst[size - 1], at: self.now) }
                    self.probe.answered(single, at: self.now)
                }
            }
            self.now = self.now + wait
            self.probe.handleTimeout(at: self.now)
            return isAllowed
        }
    }

    @Test func `batches are used once a burst was answered`() {
        var path = Path()
        let allowed = (0..<3).map { _ in path.send() }
        #expect(allowed == [false, true, true])
        #expect(path.bursts == [8])
    }

    @Test func `another burst follows every 10 s, while there are batches`() {
        var path = Path()
        for _ in 0..<30 { _ = path.send(3) }
        #expect(path.bursts == [3, 3, 3])
        path.now = path.now + .seconds(3600)
        #expect(path.probe.nextDeadline == nil && !path.probe.isDue)
    }

    @Test func `a device that swallows batches is noticed after three bursts, before any data is lost`() {
        var path = Path()
        path.swallows = true
        let allowed = (0..<10).map { _ in path.send() }
        #expect(allowed.allSatisfy { !$0 })
        #expect(path.probe.isRuledOut)
        #expect(path.bursts.count == 3)
        path.swallows = false
        let isAllowed = path.send()
        #expect(!isAllowed)
    }

    @Test
    func `a device that begins to swallow batches is noticed with the next burst, which a suspicion sends at once`() {
        var path = Path()
        _ = path.send()
        path.swallows = true
        var lost = 0
        while path.send() { lost += 1 }
        #expect(lost <= 11)
        #expect(!path.probe.isRuledOut)
        path.swallows = false
        _ = path.send()
        let isAllowed = path.send()
        #expect(isAllowed)
        path.swallows = true
        path.probe.suspect()
        let allowed = [path.send(), path.send()]
        #expect(allowed == [true, false])
    }

    @Test func `a path that answers nothing does not rule out batches`() {
        var path = Path()
        _ = path.send()
        path.isDead = true
        for _ in 0..<100 { _ = path.send() }
        #expect(!path.probe.isRuledOut)
        // Nor is a path asked again and again that does not answer.
        #expect(path.bursts.count <= 12)
        path.isDead = false
        _ = path.send()
        let isAllowed = path.send()
        #expect(isAllowed)
    }

    @Test func `one lost burst is forgiven`() {
        var path = Path()
        for number in 0..<12 {
            path.swallows = number % 3 != 0
            path.probe.suspect()
            _ = path.send()
        }
        #expect(!path.probe.isRuledOut)
    }
}
