import NIOCore
import Testing

@testable import rtun_server

@Suite struct CertificateTermTests {
    private static let day: Int64 = 86_400
    private let start = NIODeadline.uptimeNanoseconds(9)

    @Test func `the end of a certificate is told two weeks before, daily, and when it has come`() {
        let end: Int64 = 1_800_000_000
        var term = CertificateTerm(end: end)
        var told: [(Int64, CertificateTerm.Notice)] = []
        let begin = end - 20 * Self.day
        for hour in Int64(0)..<(24 * 23) {
            let now = self.start + .hours(hour)
            if let notice = term.look(at: begin + hour * 3600, now: now) { told.append((hour, notice)) }
        }
        let soon = told.filter { $0.1 == .endsSoon }.map { $0.0 }
        // In the hour behind the fourteenth day before, and each day at that time.
        let expected: [Int64] = (0..<14).map { (day: Int64) -> Int64 in 145 + day * 24 }
        #expect(soon == expected)
        let over: [Int64] = told.filter { $0.1 == .hasEnded }.map { $0.0 }
        #expect(over == [480, 504, 528])
    }

    @Test(arguments: [
        (9 * day + 5, "the certificate ends in 9 days"), (3600, "the certificate ends in 1 h"),
        (0, "the certificate has expired 0 s ago: who checks it does not connect"),
        (-2 * day, "the certificate has expired 2 days ago: who checks it does not connect"),
    ])
    func `it says for how long`(left: Int64, words: String) {
        let term = CertificateTerm(end: 1_000_000_000)
        let notice: CertificateTerm.Notice = left > 0 ? .endsSoon : .hasEnded
        #expect(term.words(for: notice, at: 1_000_000_000 - left) == words)
    }

    @Test(arguments: [Int64.min, .min + 1, 0, .max])
    func `times without sense do no harm`(end: Int64) {
        var term = CertificateTerm(end: end)
        for time in [Int64.min, 0, .max] {
            if let notice = term.look(at: time, now: self.start) { _ = term.words(for: notice, at: time) }
        }
    }

    @Test func `a clock that is set right ends the warning`() {
        var term = CertificateTerm(end: 1_000_000_000)
        #expect(term.look(at: 1_000_000_001, now: self.start) == .hasEnded)
        #expect(term.look(at: 900_000_000, now: self.start + .hours(1)) == nil)
        #expect(term.look(at: 1_000_000_001, now: self.start + .hours(2)) == .hasEnded)
    }
}
