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
}
