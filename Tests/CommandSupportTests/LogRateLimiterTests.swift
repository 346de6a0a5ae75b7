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
}
