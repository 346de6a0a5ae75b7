import NIOCore
import Testing

@testable import PeerChannel

@Suite struct CheckBudgetTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func `a flood of checks is held to the rate`() {
        let budget = CheckBudget()
        let taken = (0..<100_000).count { budget.take(at: self.start + .microseconds(Int64($0) * 100)) }
        #expect(taken <= CheckBudget.burst + 10 * CheckBudget.rate + 1)
        #expect(taken >= 10 * CheckBudget.rate)
    }

    @Test func `a whole spread fits in beside ordinary checks`() {
        let budget = CheckBudget()
        // 150 guesses a second for 12 s, and 100 checks a second.
        let isComplete = (0..<3000).allSatisfy { budget.take(at: self.start + .milliseconds(Int64($0) * 4)) }
        #expect(isComplete)
    }
}
