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

    private func take(_ shares: inout LoginShares, _ login: String?, at seconds: Int64) -> LoginShares.Refusal? {
        shares.take(login, on: self.channel, capacity: 1000, at: .uptimeNanoseconds(0) + .seconds(seconds))
    }

    /// `login` gets a stream that the agent has no place for.
    private func overfill(_ shares: inout LoginShares, _ login: String, at seconds: Int64) {
        #expect(self.take(&shares, login, at: seconds) == nil)
        shares.agentIsFull(on: self.channel, at: .uptimeNanoseconds(0) + .seconds(seconds))
        shares.give(back: login, on: self.channel)
    }

    @Test func `an agent that is full has so many places for those who share it, and for who is alone`() {
        var shares = self.shares(2)
        for _ in 0..<8 { #expect(self.take(&shares, "a", at: 0) == nil) }
        self.overfill(&shares, "a", at: 0)
        // Alone it leaves the eighth of what there is.
        #expect(self.take(&shares, "a", at: 0) == .reserve(of: 8))
        shares.give(back: "a", on: self.channel)
        #expect(self.take(&shares, "a", at: 9) == .reserve(of: 8))
        #expect(self.take(&shares, "b", at: 9) == nil)
        #expect(self.take(&shares, "a", at: 9) == .half(of: 8))
    }

    @Test func `a full agent is asked again after a time, which is longer each time in vain`() {
        var shares = self.shares(2)
        for _ in 0..<8 { #expect(self.take(&shares, "a", at: 0) == nil) }
        // Several that were under way count once.
        #expect(self.take(&shares, "a", at: 0) == nil)
        self.overfill(&shares, "a", at: 0)
        shares.agentIsFull(on: self.channel, at: .uptimeNanoseconds(0) + .seconds(1))
        shares.give(back: "a", on: self.channel)
        var now: Int64 = 0
        for wait in [11, 20, 40, 80, 160, 300, 300] as [Int64] {
            now += wait
            #expect(self.take(&shares, "a", at: now - 1) == .reserve(of: 8), "\(now)")
            self.overfill(&shares, "a", at: now)
        }
    }

    @Test func `the limit of a full agent goes with a stream beyond it`() {
        var shares = self.shares(2)
        for _ in 0..<8 {
            #expect(self.take(&shares, "a", at: 0) == nil)
            shares.opened(on: self.channel)
        }
        self.overfill(&shares, "a", at: 0)
        // Another one takes its place: it is as before.
        shares.give(back: "a", on: self.channel, wasOpen: true)
        #expect(self.take(&shares, "b", at: 0) == nil)
        shares.opened(on: self.channel)
        shares.give(back: "b", on: self.channel, wasOpen: true)
        #expect(self.take(&shares, nil, at: 0) == nil)
        shares.opened(on: self.channel)
        #expect(self.take(&shares, "a", at: 9) == .half(of: 8))
        #expect(self.take(&shares, "a", at: 10) == nil)
        shares.opened(on: self.channel)
        for _ in 0..<100 { #expect(self.take(&shares, "a", at: 10) == nil) }
        self.overfill(&shares, "a", at: 10)
        #expect(self.take(&shares, "a", at: 19) == .reserve(of: 109))
    }

    @Test func `what is known of a full agent outlives its streams, and goes with its tunnel`() {
        var shares = self.shares(2)
        for _ in 0..<8 { #expect(self.take(&shares, "a", at: 0) == nil) }
        self.overfill(&shares, "a", at: 0)
        for _ in 0..<8 { shares.give(back: "a", on: self.channel) }
        #expect(self.fill(&shares, "a", capacity: 1000, at: 1) == 7)
        for _ in 0..<7 { shares.give(back: "a", on: self.channel) }
        shares.closed(self.channel)
        #expect(self.fill(&shares, "a", capacity: 1000, at: 1) == 875)
    }

    @Test func `only a login that has no stream waits for one, while others have some`() {
        var shares = self.shares(2)
        #expect(self.take(&shares, "b", at: 0) == nil)
        // All are somebody else's, whom nothing here can make give way.
        #expect(!shares.mayWait("b", on: self.channel))
        #expect(self.take(&shares, "a", at: 0) == nil)
        #expect(shares.mayWait("b", on: self.channel))
        #expect(self.take(&shares, "b", at: 0) == nil)
        #expect(!shares.mayWait("b", on: self.channel))
        #expect(!shares.mayWait(nil, on: self.channel))
        shares.loginCount = 1
        #expect(!shares.mayWait("a", on: self.channel))
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
            let share = StreamShare { _ in count += 1 }
            share.end()
            share.end()
        }
        #expect(count == 1)
        do { _ = StreamShare { _ in count += 1 } }
        #expect(count == 2)
    }
}
