import NIOCore
import Testing

@testable import Basics

@Suite struct TroubleTests {
    private let start = NIODeadline.uptimeNanoseconds(7)

    private func at(_ seconds: Int64) -> NIODeadline { self.start + .seconds(seconds) }

    @Test func `trouble is told at once, and again every five minutes while it lasts`() {
        var trouble = Trouble<String>()
        let news = [0, 1, 299, 300, 301, 599, 600, 1000].map { trouble.occurred("refused", at: self.at($0)) }
        #expect(
            news == [.began, nil, nil, .lasts(.seconds(300)), nil, nil, .lasts(.seconds(600)), .lasts(.seconds(1000))])
        #expect(trouble.since == self.start)
        #expect(trouble.ended(at: self.at(1010)) == .seconds(1010))
        #expect(trouble.ended(at: self.at(1011)) == nil)
        #expect(trouble.occurred("refused", at: self.at(1012)) == .began)
    }

    @Test func `another cause is told at once, and each in its own time`() {
        var trouble = Trouble<String>()
        #expect(trouble.occurred("refused", at: self.at(0)) == .began)
        #expect(trouble.occurred("timed out", at: self.at(100)) == .lasts(.seconds(100)))
        #expect(trouble.occurred("refused", at: self.at(200)) == nil)
        #expect(trouble.latest == "refused")
        #expect(trouble.known(at: self.at(350)) == ["timed out"])
        #expect(trouble.occurred("refused", at: self.at(300)) == .lasts(.seconds(300)))
        #expect(trouble.occurred("timed out", at: self.at(399)) == nil)
        #expect(trouble.occurred("timed out", at: self.at(400)) == .lasts(.seconds(400)))
    }

    @Test func `causes that are different each time take no memory for ever`() {
        var trouble = Trouble<Int>()
        for cause in 0..<10_000 { _ = trouble.occurred(cause, at: self.at(Int64(cause) / 100)) }
        #expect(trouble.known(at: self.at(100)).count <= 64)
        #expect(trouble.since == self.start)
    }
}

@Suite struct TimeWordsTests {
    @Test(arguments: [
        (0, "0 s"), (59, "59 s"), (60, "1 min"), (312, "5 min 12 s"), (600, "10 min"), (659, "10 min"), (3600, "1 h"),
        (3900, "1 h 5 min"), (86_400, "1 day"), (90_000, "1 day 1 h"), (172_800, "2 days"), (864_000, "10 days"),
        (-5, "0 s"),
    ])
    func `lengths of time read as people say them`(seconds: Int64, words: String) {
        #expect(TimeAmount.seconds(seconds).words == words)
    }
}
