import FlowLedger
import NIOCore
import Testing

@testable import Admin

@Suite struct TrafficHistoryTests {
    private func time(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }

    private func traffic(_ sent: UInt64, _ parts: [String: UInt64] = [:]) -> Traffic {
        Traffic(total: FlowTraffic(sent: sent), parts: parts.mapValues { FlowTraffic(sent: $0) })
    }

    @Test func `two counts make a rate`() {
        var history = TrafficHistory()
        history.record(self.traffic(0), at: self.time(0))
        #expect(history.rates.isEmpty)
        history.record(self.traffic(500), at: self.time(5))
        history.record(self.traffic(500), at: self.time(10))
        #expect(history.rates == [FlowTraffic(sent: 100), FlowTraffic()])
    }

    @Test func `a count that was late counts for as long as it took`() {
        var history = TrafficHistory()
        history.record(self.traffic(0), at: self.time(0))
        history.record(self.traffic(1000), at: self.time(20))
        #expect(history.rates == [FlowTraffic(sent: 50)])
    }

    @Test func `five minutes are kept`() {
        var history = TrafficHistory()
        for step in 0...200 { history.record(self.traffic(UInt64(step * step)), at: self.time(Int64(step) * 5)) }
        #expect(history.rates.count == 60)
        #expect(history.rates.last == FlowTraffic(sent: (200 * 200 - 199 * 199) / 5))
    }

    @Test func `the rate of now begins at the last count, or the one before if that is new`() {
        var history = TrafficHistory()
        #expect(history.now(at: self.time(0)).rate(of: FlowTraffic(sent: 1)) == nil)
        history.record(self.traffic(0, ["a": 0]), at: self.time(0))
        #expect(history.now(at: self.time(0)).rate(of: FlowTraffic(sent: 1)) == nil)
        #expect(history.now(at: self.time(1)).rate(of: FlowTraffic(sent: 10)) == FlowTraffic(sent: 10))
        history.record(self.traffic(100, ["a": 100]), at: self.time(5))
        #expect(history.now(at: self.time(6)).rate(of: FlowTraffic(sent: 160)) == FlowTraffic(sent: 26))
        #expect(history.now(at: self.time(7)).rate(of: FlowTraffic(sent: 160)) == FlowTraffic(sent: 30))
        #expect(history.now(at: self.time(7)).rate(of: FlowTraffic(sent: 160), part: "a") == FlowTraffic(sent: 30))
        // Not there before.
        #expect(history.now(at: self.time(7)).rate(of: FlowTraffic(sent: 160), part: "b") == FlowTraffic(sent: 80))
    }

    @Test func `a count that has gone back makes no rate`() {
        var history = TrafficHistory()
        history.record(self.traffic(100), at: self.time(0))
        history.record(self.traffic(50), at: self.time(5))
        #expect(history.rates == [FlowTraffic()])
        #expect(history.now(at: self.time(10)).rate(of: FlowTraffic(sent: 10)) == nil)
    }
}
