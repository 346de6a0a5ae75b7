import NIOCore
import Testing

@testable import PeerPath

@Suite struct SessionGateTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    @Test func `the first request is served at once, and the next after a while`() {
        var gate = SessionGate<Int>()
        #expect(gate.nextDeadline == nil)
        #expect(gate.begin(at: self.start) == nil)
        #expect(gate.submit(1) == nil)
        #expect(gate.begin(at: self.start) == 1)
        gate.finish()
        #expect(gate.submit(2) == nil)
        #expect(gate.begin(at: self.start + .milliseconds(499)) == nil)
        #expect(gate.nextDeadline == self.start + .milliseconds(500))
        #expect(gate.begin(at: self.start + .milliseconds(500)) == 2)
    }

    @Test func `the newest waiting request is served`() {
        var gate = SessionGate<Int>()
        _ = gate.submit(0)
        _ = gate.begin(at: self.start)
        #expect(gate.submit(1) == nil)
        #expect(gate.submit(2) == 1)
        #expect(gate.submit(3) == 2)
        // While one is under way there is nothing to wait for but its end.
        #expect(gate.nextDeadline == nil)
        #expect(gate.begin(at: self.start + .seconds(2)) == nil)
        gate.finish()
        #expect(gate.begin(at: self.start + .seconds(2)) == 3)
        gate.finish()
        #expect(gate.begin(at: self.start + .seconds(4)) == nil)
        #expect(gate.nextDeadline == nil)
    }

    @Test func `a withdrawn request is not served`() {
        var gate = SessionGate<Int>()
        #expect(gate.withdraw() == nil)
        _ = gate.submit(1)
        #expect(gate.withdraw() == 1)
        #expect(gate.begin(at: self.start) == nil)
    }
}
