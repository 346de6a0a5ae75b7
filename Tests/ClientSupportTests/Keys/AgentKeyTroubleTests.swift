import Basics
import NIOCore
import Testing

@testable import ClientSupport

@Suite struct `agents that are refused for their keys` {
    private let known = KnownAgents.Entry(key: testFingerprint(1), line: 7)

    private func changed(_ name: String = "office", got byte: UInt8 = 2) -> AgentKeyRefusal {
        AgentKeyRefusal(agent: name, got: testFingerprint(byte), .changed([self.known]))
    }

    private func unknown(_ name: String) -> AgentKeyRefusal {
        AgentKeyRefusal(agent: name, got: testFingerprint(9), .unknown)
    }

    private func at(_ minutes: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .minutes(minutes) }

    @Test func `are told of at once, with each new key, and every five minutes`() {
        var trouble = AgentKeyTrouble()
        #expect(trouble.refused(self.changed(), at: self.at(0)) == .began)
        #expect(trouble.refused(self.changed(), at: self.at(4)) == nil)
        #expect(trouble.refused(self.changed(got: 3), at: self.at(4)) == .lasts(.minutes(4)))
        #expect(trouble.refused(self.changed(), at: self.at(5)) == .lasts(.minutes(5)))
        #expect(trouble.refused(self.unknown("home"), at: self.at(5)) == .began)
        // The one that matters more.
        #expect(trouble.first == self.changed())
        trouble.ended("office")
        #expect(trouble.first == self.unknown("home"))
        trouble.keep(only: [])
        #expect(trouble.isEmpty)
        #expect(trouble.refused(self.changed(), at: self.at(6)) == .began)
    }

    @Test func `are remembered in a bounded number, and not told of beyond it`() {
        var trouble = AgentKeyTrouble()
        let told = (0..<1000).filter { trouble.refused(self.unknown("a\($0)"), at: self.at(0)) != nil }
        #expect(told.count == 256)
        #expect((0..<1000).allSatisfy { trouble.refused(self.unknown("a\($0)"), at: self.at(1)) == nil })
    }

    @Test(
        arguments: [
            // Registered, refused of them, known names that match, hopeless.
            ([], [], ["office"], false),
            (["office"], ["office"], ["office"], true),
            (["office"], ["office"], [], true),
            (["office"], [], ["office"], false),
            (["office", "home"], ["office"], ["office"], false),
            (["office", "home"], ["office", "home"], ["office"], true),
            // The one that is known may come yet.
            (["stranger"], ["stranger"], ["office"], false),
            (["my  office"], ["my  office"], ["my office"], true),
        ] as [([String], [String], [String], Bool)])
    func `leave no hope when nobody else is there or known`(
        registered: [String], refused: [String], known: [String], isHopeless: Bool
    ) {
        var trouble = AgentKeyTrouble()
        for name in refused { _ = trouble.refused(self.changed(name), at: self.at(0)) }
        #expect(trouble.isHopeless(registered: Set(registered), known: Set(known)) == isHopeless)
    }

    @Test func `are described with both keys, what may have happened, and what to do`() {
        let refusal = self.changed()
        #expect(refusal.name == "key_changed")
        #expect(
            refusal.summary
                == "the key of office has changed: expected \(testFingerprint(1)), got \(testFingerprint(2))")
        let advice = refusal.advice(file: "/f", isKept: true)
        #expect(advice.contains("in between"))
        #expect(advice.hasSuffix("change line 7 of /f to: office \(testFingerprint(2))"))
        #expect(!advice.contains("--identity"))
        #expect(refusal.advice(file: "/f", isKept: false).contains("give the agent --identity FILE"))
        let stranger = self.unknown("home")
        #expect(stranger.name == "agent_unknown")
        #expect(stranger.advice(file: "/f", isKept: nil).hasSuffix("add to /f: home \(testFingerprint(9))"))
        let several = AgentKeyRefusal(agent: "x", got: nil, .changed(Array(repeating: self.known, count: 100)))
        #expect(several.advice(file: "/f", isKept: nil).contains("one of lines 7, 7, 7, 7 of /f"))
    }
}
