import NIOCore
import Testing

@testable import QUIC

@Suite struct OffloadDoubtTests {
    private func time(_ milliseconds: UInt64) -> NIODeadline { .uptimeNanoseconds(milliseconds * 1_000_000) }

    /// What is left of doubt when `lost` of `sent` packets that left together are lost.
    private func isFounded(sent: Int, lost: UInt64, judgedAfter milliseconds: UInt64 = 300) -> Bool {
        var doubt = OffloadDoubt()
        // What was lost before does not count.
        doubt.sent(sent, lost: 1000, at: self.time(100))
        doubt.judge(lost: 1000 + lost, at: self.time(100 + milliseconds), wait: .milliseconds(300))
        return doubt.isFounded
    }

    @Test func `batches stop when all that were sent together are lost`() {
        #expect(self.isFounded(sent: 20, lost: 20))
        #expect(self.isFounded(sent: 20, lost: 18))
        // An outage, in which others were lost as well.
        #expect(!self.isFounded(sent: 20, lost: 21))
        #expect(!self.isFounded(sent: 20, lost: 17))
        #expect(!self.isFounded(sent: 20, lost: 0))
    }

    @Test func `a few packets, or a short time, are not enough to judge`() {
        #expect(!self.isFounded(sent: 15, lost: 15))
        #expect(!self.isFounded(sent: 20, lost: 20, judgedAfter: 299))
    }

    @Test func `a verdict holds for a minute, and old sends prove nothing`() {
        var doubt = OffloadDoubt()
        doubt.sent(20, lost: 0, at: self.time(0))
        doubt.judge(lost: 20, at: self.time(500), wait: .milliseconds(300))
        doubt.judge(lost: 20, at: self.time(60_000), wait: .milliseconds(300))
        #expect(doubt.isFounded)
        doubt.judge(lost: 20, at: self.time(61_000), wait: .milliseconds(300))
        #expect(!doubt.isFounded)
        doubt.sent(10, lost: 20, at: self.time(62_000))
        doubt.judge(lost: 20, at: self.time(73_000), wait: .milliseconds(300))
        doubt.sent(20, lost: 30, at: self.time(74_000))
        doubt.judge(lost: 30, at: self.time(75_000), wait: .milliseconds(300))
        #expect(!doubt.isFounded)
    }

    @Test func `each verdict counts only what was sent since the last`() {
        var doubt = OffloadDoubt()
        doubt.sent(100, lost: 0, at: self.time(0))
        doubt.judge(lost: 2, at: self.time(500), wait: .milliseconds(300))
        #expect(!doubt.isFounded)
        doubt.sent(20, lost: 2, at: self.time(600))
        doubt.judge(lost: 22, at: self.time(1000), wait: .milliseconds(300))
        #expect(doubt.isFounded)
    }

    /// A server that answers with a lot, on a network that swallows all that leaves together.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a connection goes on if batches of datagrams are swallowed`(seed: UInt64) throws {
        let network = try VirtualNetwork.connected(seed: seed)
        network.faults.swallowsBatches = true
        let stream = try network.client.openStream()
        let total = 500_000
        let pump = Pump(total: total)
        stream.delegate = pump
        pump.start(stream)
        try network.run(for: .seconds(5)) { network.serverEvents.recorders.first?.receivedBytes == total }
    }
}
