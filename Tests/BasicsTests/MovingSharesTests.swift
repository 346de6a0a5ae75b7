import Basics
import TestSupport
import Testing

/// Places that move: whoever has less than its share gets one of the owner who has most.
@Suite struct MovingSharesTests {
    /// Each relay is a client of its own, unless a test says otherwise.
    private struct Flows {
        private var shares: Shares<UInt64, UInt64>

        init(limit: Int) { self.shares = Shares(limit: limit, factor: 7) }

        var used: Int { self.shares.used }
        mutating func take(by relay: UInt64, of client: UInt64? = nil, isKnown: Bool = true)
            -> Shares<UInt64, UInt64>.Place
        {
            self.shares.takeOrMove(by: relay, of: client ?? relay, isKnown: isKnown)
        }
        mutating func giveBack(by relay: UInt64, of client: UInt64? = nil) {
            self.shares.giveBack(by: relay, of: client ?? relay)
        }
        func owes(_ relay: UInt64) -> Bool { self.shares.owes(relay) }
    }

    @Test func `one relay alone may have all places, and then its own`() {
        var shares = Self.Flows(limit: 3)
        let places = (0..<5).map { _ in shares.take(by: 1) }
        #expect(places == [.free, .free, .free, .own, .own])
        #expect(shares.used == 3)
    }

    @Test func `a newcomer takes its share from the relay that has most, and no more`() {
        var shares = Self.Flows(limit: 12)
        for _ in 0..<8 { _ = shares.take(by: 1) }
        for _ in 0..<4 { _ = shares.take(by: 2) }
        let places = (0..<6).map { _ in shares.take(by: 3) }
        #expect(places == Array(repeating: .of(1), count: 4) + [.own, .own])
        #expect(shares.used == 12)
        // Now each has four.
        for number in UInt64(1)...3 { #expect(shares.take(by: (number)) == .own) }
    }

    @Test func `a flow that ends by itself makes room for a newcomer, and no further one has to`() {
        var shares = Self.Flows(limit: 2)
        for _ in 0..<2 { _ = shares.take(by: 1) }
        #expect(shares.take(by: 2) == .of(1))
        #expect(shares.owes(1))
        // It ends before the first relay hears that one was to end.
        shares.giveBack(by: 1)
        #expect(!shares.owes(1))
        #expect(shares.used == 2)
        shares.giveBack(by: 1)
        #expect(shares.used == 1)
        #expect(shares.take(by: 1) == .free)
        #expect(shares.take(by: 1) == .own)
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `whatever crosses on the way between relays, none ends a flow too many`(seed: UInt64) {
        var shares = Self.Flows(limit: 20)
        var flows: [UInt64: Int] = [1: 0, 2: 0, 3: 0]
        // Who has been told to end a flow and has not looked yet.
        var told: [UInt64] = []
        var generator = SeededGenerator(seed)
        for _ in 0..<20_000 {
            let number = UInt64.random(in: 1...3, using: &generator)
            let relay = (number)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0 where !told.isEmpty:
                let greedy = told.remove(at: Int.random(in: told.indices, using: &generator))
                guard shares.owes((greedy)) else { continue }
                shares.giveBack(by: (greedy))
                flows[greedy]! -= 1
            case 1 where flows[number]! > 0:
                shares.giveBack(by: relay)
                flows[number]! -= 1
            default:
                switch shares.take(by: relay) {
                case .free: flows[number]! += 1
                case .own: #expect(flows[number]! > 0)
                case .of(let greedy):
                    told.append(greedy)
                    flows[number]! += 1
                }
            }
            // Some have been told that need not end one any more; those that need to have all been told.
            let beyond = flows.values.reduce(0, +) - shares.used
            #expect((0...told.count).contains(beyond) && shares.used <= 20)
            for (number, count) in flows {
                #expect(count >= 0)
                if count == 0 { #expect(!shares.owes((number))) }
            }
        }
    }

    @Test func `more relays than places take turns`() {
        var shares = Self.Flows(limit: 1)
        #expect(shares.take(by: 1) == .free)
        #expect(shares.take(by: 2) == .of(1))
        #expect(shares.take(by: 1) == .of(2))
    }

    @Test func `a client with many relays has the share of one client`() {
        var shares = Flows(limit: 100)
        for flow in 0..<100 as Range<UInt64> { _ = shares.take(by: 100 + flow % 10, of: 1) }
        let places = (0..<60).map { _ in shares.take(by: 200, of: 2) }
        #expect(places.count { if case .of(let relay) = $0 { (100..<110).contains(relay) } else { false } } == 50)
        #expect(places.suffix(10).allSatisfy { $0 == .own })
        // The relays of the first have each lost a half.
        for relay in 100..<110 as Range<UInt64> { #expect(shares.owes(relay)) }
    }

    @Test func `relays of one client have equal parts of what it has`() {
        var shares = Flows(limit: 20)
        for _ in 0..<20 { _ = shares.take(by: 10, of: 1) }
        let places = (0..<15).map { _ in shares.take(by: 11, of: 1) }
        #expect(places == Array(repeating: .of(10), count: 10) + Array(repeating: .own, count: 5))
        #expect(shares.take(by: 20, of: 2) != .own)
    }

    @Test func `however many clients nobody knows, a known one gets a sixteenth`() {
        var shares = Flows(limit: 160)
        for client in 0..<160 as Range<UInt64> { _ = shares.take(by: client, isKnown: false) }
        let places = (0..<20).map { _ in shares.take(by: 1000) }
        #expect(places.count { $0 != .own } == 10)
        // And keeps it, whoever comes.
        for client in 2000..<3000 as Range<UInt64> { #expect(shares.take(by: client, isKnown: false) != .of(1000)) }
    }
}
