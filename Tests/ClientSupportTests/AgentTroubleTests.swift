import Basics
import NIOCore
import Testing

@testable import ClientSupport

@Suite struct AgentTroubleTests {
    private typealias Notice = AgentTrouble.Notice
    private let start = NIODeadline.uptimeNanoseconds(3)

    private func at(_ seconds: Int64) -> NIODeadline { self.start + .seconds(seconds) }

    @Test(arguments: [
        ([], "nope", "no agent is registered with the server"),
        (["office"], "nope", "no agent matches \"nope\"; registered: office"),
        (["home", "office"], "x.*", "no agent matches \"x.*\"; registered: home, office"),
        (
            (10...22).map { "a\($0)" }, "x",
            "no agent matches \"x\"; registered: a10, a11, a12, a13, a14, a15, a16, a17, a18, a19 and 3 more"
        ),
    ])
    func `nobody to choose is told with who there is`(names: [String], pattern: String, words: String) {
        var trouble = AgentTrouble()
        #expect(trouble.reason(at: self.start) == nil)
        let notice = trouble.nobody(among: names, matches: pattern, at: self.start)
        #expect(notice == Notice(message: words, lasting: nil))
        #expect(trouble.reason(at: self.start) == words)
    }

    @Test func `it is told at once, and every five minutes while somebody wants an agent`() {
        var trouble = AgentTrouble()
        var told: [Int64] = []
        // The list comes every two seconds. From the twentieth minute on nobody wants anything for a while.
        for second in stride(from: Int64(0), to: 3600, by: 2) {
            if !(1200..<2400).contains(second) { trouble.wanted() }
            if trouble.nobody(among: ["office"], matches: "x", at: self.at(second)) != nil { told.append(second) }
        }
        #expect(told == [0, 300, 600, 900, 1200, 2400, 2700, 3000, 3300])
        #expect(trouble.over(at: self.at(3600)) == .seconds(3600))
        #expect(trouble.over(at: self.at(3601)) == nil)
        #expect(trouble.reason(at: self.at(3601)) == nil)
    }

    @Test func `an idle client tells once`() {
        var trouble = AgentTrouble()
        let notices = (0..<1000).compactMap { trouble.nobody(among: [], matches: ".*", at: self.at(2 * $0)) }
        #expect(notices.count == 1)
    }

    @Test func `an agent that comes and goes again is news`() {
        var trouble = AgentTrouble()
        #expect(trouble.nobody(among: [], matches: ".*", at: self.at(0)) != nil)
        trouble.somebodyMatches(at: self.at(1))
        #expect(trouble.nobody(among: [], matches: ".*", at: self.at(2)) != nil)
        #expect(trouble.over(at: self.at(10)) == .seconds(10))
    }

    @Test func `when the last of several agents fails, all are told of`() {
        var trouble = AgentTrouble()
        let both = ["home", "office"]
        #expect(trouble.attemptFailed("office", "no path", candidates: both, at: self.at(0)) == nil)
        #expect(trouble.reason(at: self.at(0)) == "no channel to office: no path")
        let words = "no agent can be reached: home: it is full; office: no path"
        #expect(
            trouble.attemptFailed("home", "it is full", candidates: both, at: self.at(5))
                == Notice(message: words, lasting: nil))
        #expect(trouble.reason(at: self.at(6)) == words)
        trouble.wanted()
        #expect(trouble.attemptFailed("office", "no path", candidates: both, at: self.at(100)) == nil)
        #expect(
            trouble.attemptFailed("office", "no path", candidates: both, at: self.at(305))
                == Notice(message: words, lasting: .seconds(300)))
        #expect(trouble.known(of: "office", at: self.at(306)) == ["no path"])
        trouble.stands("office")
        #expect(trouble.over(at: self.at(310)) == .seconds(310))
        #expect(trouble.known(of: "office", at: self.at(310)).isEmpty)
        #expect(trouble.attemptFailed("office", "no path", candidates: both, at: self.at(311)) != nil)
    }

    @Test func `a single agent that fails is told of by its channel alone`() {
        var trouble = AgentTrouble()
        #expect(trouble.attemptFailed("office", "no path", candidates: ["office"], at: self.at(0)) == nil)
        #expect(trouble.known(of: "office", at: self.at(299)) == ["no path"])
        #expect(trouble.known(of: "office", at: self.at(300)) == [])
    }

    @Test func `names without end take no memory without end`() {
        var trouble = AgentTrouble()
        for number in 0..<2000 {
            _ = trouble.attemptFailed("a\(number)", "x", candidates: [], at: self.at(0))
        }
        let known = (0..<2000).filter { !trouble.known(of: "a\($0)", at: self.at(1)).isEmpty }
        #expect(known.count <= 256)
    }
}
