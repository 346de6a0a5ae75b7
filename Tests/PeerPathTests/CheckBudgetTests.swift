import NIOCore
import Testing

@testable import PeerPath

@Suite struct CheckBudgetTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func `a flood of checks is limited to the rate`() {
        let budget = CheckBudget(rate: 300, burst: 600)
        let taken = (0..<100_000).count { budget.take(at: self.start + .microseconds(Int64($0) * 100)) }
        #expect((3000...3601).contains(taken))
    }

    @Test func `checks at the rate all pass`() {
        let budget = CheckBudget(rate: 300, burst: 300)
        // Two spreads of 12 s.
        let isComplete = (0..<3600).allSatisfy { budget.take(at: self.start + .microseconds(Int64($0) * 3334)) }
        #expect(isComplete)
    }

    // MARK: Of a whole process

    private final class Owner: Sendable {}

    @Test func `a process sends no more than so many checks in any window of time`() {
        let budget = SharedCheckBudget(limit: 600, window: .seconds(2))
        let owners = (0..<100).map { _ in Owner() }
        let times = (0..<100_000).filter { number in
            budget.take(
                for: ObjectIdentifier(owners[number % 100]), at: self.start + .microseconds(Int64(number) * 100))
        }
        for (first, last) in zip(times, times.dropFirst(600)) { #expect(last - first >= 20_000) }
        #expect(times.count > 2500)
    }

    @Test func `an owner that sends all it can leaves others their share at any time`() {
        let budget = SharedCheckBudget(limit: 600, window: .seconds(2))
        let (greedy, other) = (Owner(), Owner())
        var taken = 0
        for number in 0..<100_000 {
            let now = self.start + .microseconds(Int64(number) * 100)
            _ = budget.take(for: ObjectIdentifier(greedy), at: now)
            // As ICE paces them.
            if number % 500 == 0, budget.take(for: ObjectIdentifier(other), at: now) { taken += 1 }
        }
        #expect(taken == 200)
    }

    @Test func `one owner has no more than half of the places for spreads`() {
        let places = SpreadPlaces(limit: 2)
        let (greedy, other) = (Owner(), Owner())
        var first = places.take(for: ObjectIdentifier(greedy))
        #expect(first != nil && places.take(for: ObjectIdentifier(greedy)) == nil)
        let second = places.take(for: ObjectIdentifier(other))
        #expect(second != nil)
        first = nil
        #expect(places.take(for: ObjectIdentifier(greedy)) != nil)
        withExtendedLifetime(second) {}
    }
}
