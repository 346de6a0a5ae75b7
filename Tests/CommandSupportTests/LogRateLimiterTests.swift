import NIOCore
import Testing

@testable import CommandSupport

@Suite struct LogRateLimiterTests {
    @Test func `one line per interval tells how many there were`() {
        var limiter = LogRateLimiter(interval: .seconds(10))
        let start = NIODeadline.uptimeNanoseconds(5)
        let counts = [0, 1, 9, 10, 11, 35, 35].map { limiter.occurrences(at: start + .seconds($0)) }
        #expect(counts == [1, nil, nil, 3, nil, 2, nil])
    }

    @Test func `occurrences that no later line reports are summarised at the end of the interval`() {
        var limiter = LogRateLimiter(interval: .seconds(10))
        let start = NIODeadline.uptimeNanoseconds(5)
        #expect(limiter.nextSummary == nil)
        #expect(limiter.occurrences(at: start) == 1)
        #expect(limiter.nextSummary == nil)
        #expect(limiter.occurrences(at: start + .seconds(1)) == nil)
        #expect(limiter.occurrences(at: start + .seconds(2)) == nil)
        #expect(limiter.nextSummary == start + .seconds(10))
        #expect(limiter.summary(at: start + .seconds(9)) == nil)
        #expect(limiter.summary(at: start + .seconds(10)) == 2)
        #expect(limiter.nextSummary == nil)
        #expect(limiter.occurrences(at: start + .seconds(19)) == nil)
        #expect(limiter.summary(at: start + .seconds(20)) == 1)
    }
}
