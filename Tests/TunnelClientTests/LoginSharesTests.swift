import AgentChoice
import NIOCore
import Testing

@testable import TunnelClient

@Suite struct `shares of logins` {
    private let channel = ChannelID(rawValue: 1)

    /// Opens streams for `login` until it gets no more; returns how many it got.
    private func fill(
        _ shares: inout LoginShares, _ login: String?, capacity: Int, at seconds: Int64 = 0
    ) -> Int {
        for count in 0..<100_000 {
            let refusal = shares.take(
                login, on: self.channel, capacity: capacity, at: .uptimeNanoseconds(0) + .seconds(seconds))
            if refusal != nil { return count }
            // What is left for others to see: nobody has more than there are.
            if count > 2 * capacity { return count }
        }
        return .max
    }

    private func shares(_ logins: Int) -> LoginShares {
        var shares = LoginShares()
        shares.loginCount = logins
        return shares
    }

    @Test(arguments: [
        // Capacity, what one login gets alone, what the next gets beside it, of two logins.
        (1, 1, 1), (2, 1, 1), (4, 3, 1), (8, 7, 1), (14, 12, 2), (56, 49, 7), (3584, 3136, 448),
    ])
    func `a login that is alone leaves room for the other, which gets all that is left`(
        capacity: Int, alone: Int, beside: Int
    ) {
        var shares = self.shares(2)
        #expect(self.fill(&shares, "a", capacity: capacity) == alone)
        #expect(self.fill(&shares, "b", capacity: capacity) == beside)
        // And the first none any more.
        #expect(shares.take("a", on: self.channel, capacity: capacity, at: .uptimeNanoseconds(0)) != nil)
    }

    @Test func `the half of one that has more comes back as its streams end`() {
        var shares = self.shares(2)
        #expect(self.fill(&shares, "a", capacity: 16) == 14)
        #expect(shares.take("b", on: self.channel, capacity: 16, at: .uptimeNanoseconds(0)) == nil)
        for _ in 0..<7 {
            #expect(
                shares.take("a", on: self.channel, capacity: 16, at: .uptimeNanoseconds(0)) == .half(of: 16))
            shares.give(back: "a", on: self.channel)
        }
        shares.give(back: "a", on: self.channel)
        shares.give(back: "a", on: self.channel)
        #expect(shares.take("a", on: self.channel, capacity: 16, at: .uptimeNanoseconds(0)) == nil)
        #expect(self.fill(&shares, "b", capacity: 16) == 7)
    }

    @Test func `a login that only tries is active for ten seconds`() {
        var shares = self.shares(2)
        #expect(shares.take("b", on: self.channel, capacity: 16, at: .uptimeNanoseconds(0)) == nil)
        shares.give(back: "b", on: self.channel)
        #expect(self.fill(&shares, "a", capacity: 16, at: 9) == 8)
        #expect(self.fill(&shares, "a", capacity: 16, at: 10) == 6)
    }

    @Test(arguments: [0, 1]) func `nothing is shared where there are no two logins`(logins: Int) {
        var shares = self.shares(logins)
        #expect(self.fill(&shares, logins == 0 ? nil : "a", capacity: 4) > 4)
    }

    @Test func `with several logins one more always finds a place while there are any`() {
        var shares = self.shares(4)
        let names = ["a", "b", "c", "d"]
        // The last one waits for a place, and is the only one that does.
        #expect(names.map { self.fill(&shares, $0, capacity: 64) } == [56, 7, 1, 1])
    }

    @Test func `an agent that is full has so many places for those who share it`() {
        var shares = self.shares(2)
        let now = NIODeadline.uptimeNanoseconds(0)
        for _ in 0..<9 { #expect(shares.take("a", on: self.channel, capacity: 1000, at: now) == nil) }
        // The ninth got no place.
        shares.agentIsFull(on: self.channel, at: now)
        shares.give(back: "a", on: self.channel)
        // Alone it may ask the agent again.
        #expect(shares.take("a", on: self.channel, capacity: 1000, at: now) == nil)
        shares.give(back: "a", on: self.channel)
        #expect(shares.take("b", on: self.channel, capacity: 1000, at: now) == nil)
        #expect(shares.take("a", on: self.channel, capacity: 1000, at: now) == .half(of: 8))
        #expect(shares.take("a", on: self.channel, capacity: 1000, at: now + .seconds(10)) == nil)
    }

    @Test func `each tunnel is shared by itself`() {
        var shares = self.shares(2)
        let now = NIODeadline.uptimeNanoseconds(0)
        #expect(self.fill(&shares, "a", capacity: 16) == 14)
        let other = ChannelID(rawValue: 2)
        #expect(shares.take("a", on: other, capacity: 4, at: now) == nil)
        #expect(shares.take("a", on: other, capacity: 4, at: now) == nil)
    }

    @Test func `what nobody asked for is counted, too`() {
        var shares = self.shares(2)
        #expect(self.fill(&shares, nil, capacity: 16) > 16)
        shares.give(back: nil, on: ChannelID(rawValue: 9))
        #expect(shares.take("a", on: self.channel, capacity: 16, at: .uptimeNanoseconds(0)) == nil)
        #expect(shares.take("a", on: self.channel, capacity: 16, at: .uptimeNanoseconds(0)) == .reserve(of: 16))
    }

    @Test func `a share is given back once`() {
        var count = 0
        do {
            let share = StreamShare { count += 1 }
            share.end()
            share.end()
        }
        #expect(count == 1)
        do { _ = StreamShare { count += 1 } }
        #expect(count == 2)
    }
}
