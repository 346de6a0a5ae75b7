import TestSupport
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

    @Test func `a newcomer takes its share from the relay that has most, and no more`() {
        var shares = FlowShares(limit: 12)
        for _ in 0..<8 { _ = shares.take(by: self.relay(1)) }
        for _ in 0..<4 { _ = shares.take(by: self.relay(2)) }
        let places = (0..<6).map { _ in shares.take(by: self.relay(3)) }
        #expect(places == Array(repeating: .of(self.relay(1)), count: 4) + [.own, .own])
        #expect(shares.used == 12)
        // Now each has four.
        for number in UInt64(1)...3 { #expect(shares.take(by: self.relay(number)) == .own) }
    }

    @Test func `a flow that ends by itself makes room for a newcomer, and no further one has to`() {
        var shares = FlowShares(limit: 2)
        for _ in 0..<2 { _ = shares.take(by: self.relay(1)) }
        #expect(shares.take(by: self.relay(2)) == .of(self.relay(1)))
        #expect(shares.owes(self.relay(1)))
        // It ends before the first relay hears that one was to end.
        shares.giveBack(by: self.relay(1))
        #expect(!shares.owes(self.relay(1)))
        #expect(shares.used == 2)
        shares.giveBack(by: self.relay(1))
        #expect(shares.used == 1)
        #expect(shares.take(by: self.relay(1)) == .free)
        #expect(shares.take(by: self.relay(1)) == .own)
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `whatever crosses on the way between relays, none ends a flow too many`(seed: UInt64) {
        var shares = FlowShares(limit: 20)
        var flows: [UInt64: Int] = [1: 0, 2: 0, 3: 0]
        // Who has been told to end a flow and has not looked yet.
        var told: [UInt64] = []
        var generator = SeededGenerator(seed)
        for _ in 0..<20_000 {
            let number = UInt64.random(in: 1...3, using: &generator)
            let relay = self.relay(number)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0 where !told.isEmpty:
                let greedy = told.remove(at: Int.random(in: told.indices, using: &generator))
                guard shares.owes(self.relay(greedy)) else { continue }
                shares.giveBack(by: self.relay(greedy))
                flows[greedy]! -= 1
            case 1 where flows[number]! > 0:
                shares.giveBack(by: relay)
                flows[number]! -= 1
            default:
                switch shares.take(by: relay) {
                case .free: flows[number]! += 1
                case .own: #expect(flows[number]! > 0)
                case .of(let greedy):
                    told.append(greedy.rawValue)
                    flows[number]! += 1
                }
            }
            // Some have been told that need not end one any more; those that need to have all been told.
            let beyond = flows.values.reduce(0, +) - shares.used
            #expect((0...told.count).contains(beyond) && shares.used <= 20)
            for (number, count) in flows {
                #expect(count >= 0)
                if count == 0 { #expect(!shares.owes(self.relay(number))) }
            }
        }
    }

    @Test func `more relays than places take turns`() {
        var shares = FlowShares(limit: 1)
        #expect(shares.take(by: self.relay(1)) == .free)
        #expect(shares.take(by: self.relay(2)) == .of(self.relay(1)))
        #expect(shares.take(by: self.relay(1)) == .of(self.relay(2)))
    }

    @Test func `a tunnel alone has most connections, and newcomers find room`() {
        let egress = Egress(dialer: EgressDialer(policy: EgressPolicy([])), maximumStreams: 80, maximumFlows: 1)
        let alone = (0..<80).count { egress.takeStream(beside: $0) }
        #expect(alone == 70)
        #expect(egress.maximumStreamsAlone == 70)
        let second = (0..<80).count { egress.takeStream(beside: $0) }
        #expect(second == 9)
        #expect(egress.takeStream(beside: 0))
    }

    @Test(arguments: 1...7)
    func `one tunnel may have all of a small limit`(limit: Int) {
        let egress = Egress(dialer: EgressDialer(policy: EgressPolicy([])), maximumStreams: limit, maximumFlows: 1)
        #expect((0...limit).count { egress.takeStream(beside: $0) } == limit)
        #expect(egress.maximumStreamsAlone == limit)
    }

    @Test func `tunnels that want all end up with equal shares`() {
        let egress = Egress(dialer: EgressDialer(policy: EgressPolicy([])), maximumStreams: 1000, maximumFlows: 1)
        var counts = [0, 0, 0]
        while egress.takeStream(beside: counts[0]) { counts[0] += 1 }
        // Connections end here and there, and everybody wants further ones at all times.
        for turn in 0..<20_000 {
            let ending = turn % 3
            if counts[ending] > 0 {
                counts[ending] -= 1
                egress.giveBackStream()
            }
            for tunnel in counts.indices where egress.takeStream(beside: counts[tunnel]) { counts[tunnel] += 1 }
        }
        #expect(counts.allSatisfy { (300...333).contains($0) }, "\(counts)")
    }

    @Test func `limits stay within that of open files`() throws {
        var options = try EgressOptions.parse([])
        #expect(EgressLimits(options, openFiles: 65_536, eventLoops: 2) == EgressLimits(streams: 4096, flows: 16_384))
        let few = EgressLimits(options, openFiles: 4096, eventLoops: 2)
        #expect(few.streams == few.flows && (2000...3072).contains(few.flows))
        options = try EgressOptions.parse(["--max-flows", "\(Int.max)", "--max-streams", "1"])
        let huge = EgressLimits(options, openFiles: 1024, eventLoops: 2)
        #expect(huge.streams == 1 && (500...768).contains(huge.flows))
        let least = EgressLimits(options, openFiles: 50, eventLoops: 2)
        #expect(least.streams == 1 && least.flows == 3)
    }
}
