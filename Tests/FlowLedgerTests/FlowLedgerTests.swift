import FlowLedger
import NIOCore
import Testing

private func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1000 + seconds) }

@Suite struct `Flow ledger` {
    private let ledger = FlowLedger()
    private let origin = FlowOrigin(.socks5, client: "192.0.2.1:1000")

    @Test func `an open flow tells what has passed so far`() throws {
        var traffic = FlowTraffic(sent: 1, received: 2)
        let id = self.ledger.open(self.origin, to: "example.com:443", at: at(0))
        #expect(self.ledger.openFlows(limit: 9).first?.connectedAt == nil)
        self.ledger.connected(id, resolved: "198.51.100.1:443", agent: "office", at: at(1)) {
            FlowLedger.Look(traffic: traffic, path: "direct")
        }
        traffic = FlowTraffic(sent: 10, received: 20)

        let flow = try #require(self.ledger.openFlows(limit: 9).first)
        #expect(flow.traffic == traffic && flow.path == "direct" && flow.agent == "office")
        #expect(self.ledger.totals[.socks5]?.traffic == traffic)
        #expect(self.ledger.totals[.socks5]?.byOutcome == [:])
    }

    @Test func `a flow that has ended is told once and counted once`() {
        var told: [(FlowRecord, FlowOutcome, NIODeadline)] = []
        self.ledger.ended = { told.append(($0, $1, $2)) }
        let id = self.ledger.open(self.origin, to: "example.com:443", at: at(0))
        self.ledger.connected(id, resolved: nil, agent: nil, at: at(0)) {
            FlowLedger.Look(traffic: FlowTraffic(sent: 3, received: 4), path: "bridge")
        }
        self.ledger.end(id, .reset, at: at(2))
        self.ledger.end(id, .closed, at: at(3))

        #expect(told.count == 1 && told.first?.0.path == "bridge" && told.first?.1 == .reset && told.first?.2 == at(2))
        #expect(self.ledger.totals[.socks5]?.byOutcome == [.reset: 1])
        #expect(self.ledger.totals[.socks5]?.traffic == FlowTraffic(sent: 3, received: 4))
        #expect(self.ledger.count == 0)
    }

    @Test func `totals never go back when a flow ends`() {
        let id = self.ledger.open(self.origin, to: "a:1", at: at(0))
        self.ledger.connected(id, resolved: nil, agent: nil, at: at(0)) {
            FlowLedger.Look(traffic: FlowTraffic(sent: 7), path: nil)
        }
        let before = self.ledger.totals[.socks5]?.traffic
        self.ledger.end(id, .closed, at: at(1))
        #expect(self.ledger.totals[.socks5]?.traffic == before)
    }

    @Test func `the longest open come first, and no more than are asked for`() {
        for port in 1...5 { _ = self.ledger.open(self.origin, to: "a:\(port)", at: at(Int64(port))) }
        #expect(self.ledger.openFlows(limit: 2).map(\.target) == ["a:1", "a:2"])
    }

    @Test func `flows of others are counted by kind`() {
        var record = FlowRecord(FlowOrigin(.udp, client: "c"), target: "t", openedAt: at(0))
        record.traffic = FlowTraffic(sent: 1, received: 1)
        self.ledger.count(record, .idle, at: at(1))
        self.ledger.count(record, .evicted, at: at(1))
        #expect(self.ledger.totals[.udp]?.byOutcome == [.idle: 1, .evicted: 1])
        #expect(self.ledger.totals[.udp]?.traffic == FlowTraffic(sent: 2, received: 2))
    }
}
