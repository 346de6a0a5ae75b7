import Testing

@testable import rtun_agent

@Suite struct EgressSharesTests {
    private func relay(_ number: UInt64) -> FlowShares.RelayID { FlowShares.RelayID(rawValue: number) }

    @Test func `one relay alone may have all places, and then its own`() {
        var shares = FlowShares(limit: 3)
        let places = (0..<5).map { _ in shares.take(by: self.relay(1)) }
        #expect(places == [.free, .free, .free, .own, .own])
        #expect(shares.used == 3)
    }

    @Test func `a newcomer gets its share from the one who has most, and no more`() {
        var shares = FlowShares(limit: 12)
        for _ in 0..<8 { _ = shares.take(by: self.relay(1)) }
        for _ in 0..<4 { _ = shares.take(by: self.relay(2)) }
        let places = (0..<6).map { _ in shares.take(by: self.relay(3)) }
        #expect(places == Array(repeating: .of(self.relay(1)), count: 4) + [.own, .own])
        #expect(shares.used == 12)
        // Now each has four.
        for number in UInt64(1)...3 { #expect(shares.take(by: self.relay(number)) == .own) }
    }

    @Test func `places that were given back before they could be taken are counted once`() {
        var shares = FlowShares(limit: 2)
        _ = shares.take(by: self.relay(1))
        _ = shares.take(by: self.relay(1))
        #expect(shares.take(by: self.relay(2)) == .of(self.relay(1)))
        // Both end before the first relay hears that one was to end.
        shares.giveBack(by: self.relay(1))
        shares.giveBack(by: self.relay(1))
        #expect(shares.used == 0)
        shares.hadEnded(by: self.relay(1))
        #expect(shares.used == 1)
        #expect(shares.take(by: self.relay(1)) == .free)
        #expect(shares.take(by: self.relay(1)) == .own)
    }

    @Test func `more relays than places take turns`() {
        var shares = FlowShares(limit: 1)
        #expect(shares.take(by: self.relay(1)) == .free)
        #expect(shares.take(by: self.relay(2)) == .of(self.relay(1)))
        #expect(shares.take(by: self.relay(1)) == .of(self.relay(2)))
    }

    @Test func `one tunnel may have all connections, and of two each its share`() {
        let egress = Egress(dialer: EgressDialer(policy: EgressPolicy([])), maximumStreams: 80, maximumFlows: 1)
        egress.tunnelOpened()
        let alone = (0..<81).count { egress.takeStream(beside: $0) }
        #expect(alone == 80)
        for _ in 0..<40 { egress.giveBackStream() }
        egress.tunnelOpened()
        // Forty are free: the first may have more than half, but not the last eighth.
        let more = (40..<80).count { egress.takeStream(beside: $0) }
        #expect(more == 30)
        let others = (0..<40).count { egress.takeStream(beside: $0) }
        #expect(others == 10)
        egress.giveBackStream()
        #expect(!egress.takeStream(beside: 69))
        #expect(egress.takeStream(beside: 10))
    }
}
