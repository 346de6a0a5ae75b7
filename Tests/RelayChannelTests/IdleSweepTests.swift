import NIOCore
import NIOEmbedded
import Testing
import UDPRelay

@testable import RelayChannel

@Suite struct IdleSweepTests {
    private let eventLoop = EmbeddedEventLoop()

    /// Flows by when they had their last datagram, and when they were ended.
    private final class Flows {
        var last: [NIODeadline] = []
        var ended: [NIODeadline] = []
        var sweeps = 0
    }

    private func sweep(_ flows: Flows, idleTimeout: TimeAmount, share: Int64 = 1) -> IdleSweep {
        let eventLoop = self.eventLoop
        return IdleSweep(eventLoop: eventLoop, idleTimeout: idleTimeout, share: share) { deadline in
            guard let first = flows.last.first, first < deadline else { return false }
            flows.last.removeFirst()
            flows.ended.append(eventLoop.now)
            return true
        } ended: {
            flows.sweeps += 1
        }
    }

    @Test func `an idle flow lives at most an eighth longer than it should`() {
        let flows = Flows()
        let sweep = self.sweep(flows, idleTimeout: .seconds(8), share: 8)
        let start = self.eventLoop.now
        flows.last = [start, start + .milliseconds(500), start + .seconds(60)]
        self.eventLoop.advanceTime(by: .seconds(30))
        #expect(flows.ended == [start + .seconds(9), start + .seconds(9)])
        #expect(flows.last.count == 1)
        #expect(flows.sweeps == 30)
        sweep.stop()
        self.eventLoop.advanceTime(by: .seconds(100))
        #expect(flows.sweeps == 30 && flows.last.count == 1)
    }

    @Test func `there is a sweep every five seconds at least`() {
        let flows = Flows()
        let sweep = self.sweep(flows, idleTimeout: .seconds(100))
        self.eventLoop.advanceTime(by: .seconds(20))
        #expect(flows.sweeps == 4)
        withExtendedLifetime(sweep) {}
    }

    @Test func `many idle flows end in several turns of the loop`() {
        let flows = Flows()
        let sweep = self.sweep(flows, idleTimeout: .seconds(1))
        flows.last = Array(repeating: self.eventLoop.now, count: 10_000)
        self.eventLoop.advanceTime(by: .seconds(2))
        #expect(flows.ended.count == 10_000)
        // The first sweep finds nothing that is old enough, the second takes three turns.
        #expect(flows.sweeps == 4)
        withExtendedLifetime(sweep) {}
    }

    @Test func `no sweep outlives its owner`() {
        let flows = Flows()
        _ = self.sweep(flows, idleTimeout: .seconds(1))
        self.eventLoop.advanceTime(by: .seconds(10))
        #expect(flows.sweeps == 0)
    }
}
