import NIOCore
import Testing

@testable import UDPRelay

/// Milliseconds on the test's clock.
private func at(_ milliseconds: Int64) -> NIODeadline {
    .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
}

@Suite struct ChannelLivenessTests {
    /// When keepalives leave up to `end`, if nothing else happens.
    private func questions(of liveness: inout ChannelLiveness, until end: Int64) -> [Int64] {
        var times: [Int64] = []
        while let deadline = liveness.nextDeadline, deadline <= at(end) {
            if liveness.timerFired(at: deadline) != nil {
                times.append((deadline - at(0)).nanoseconds / 1_000_000)
            }
        }
        return times
    }

    @Test func `an idle channel is asked every ten seconds`() {
        var liveness = ChannelLiveness(probes: true, at: at(0))
        #expect(liveness.nextDeadline == at(10_000))
        #expect(liveness.timerFired(at: at(9_999)) == nil)
        #expect(liveness.timerFired(at: at(10_000)) == 1)
        liveness.heard(at: at(10_050))
        #expect(liveness.nextDeadline == at(20_050))
        #expect(liveness.timerFired(at: at(20_050)) == 2)
    }

    @Test func `a channel without an answer is asked after a second, and suspect after three`() {
        var liveness = ChannelLiveness(probes: true, at: at(0))
        liveness.sent(at: at(0))
        liveness.sent(at: at(900))
        let times = self.questions(of: &liveness, until: 2_999)
        #expect(times == Array(stride(from: 1000, to: 3000, by: 200)))
        #expect(!liveness.isSuspect)
        #expect(self.questions(of: &liveness, until: 6_000) == [3000, 4000, 5000, 6000])
        #expect(liveness.isSuspect)
        liveness.heard(at: at(6_100))
        #expect(!liveness.isSuspect)
        #expect(liveness.nextDeadline == at(16_100))
    }

    @Test func `answers keep a busy channel from being asked`() {
        var liveness = ChannelLiveness(probes: true, at: at(0))
        for step in Int64(0)..<100 {
            liveness.sent(at: at(step * 500))
            #expect(self.questions(of: &liveness, until: step * 500 + 400) == [])
            liveness.heard(at: at(step * 500 + 400))
        }
    }

    @Test func `a doubt from elsewhere asks at once, and changes nothing while a question is open`() {
        var liveness = ChannelLiveness(probes: true, at: at(0))
        liveness.suspect(at: at(5))
        #expect(liveness.timerFired(at: at(5)) != nil)
        liveness.suspect(at: at(100))
        #expect(liveness.nextDeadline == at(205))
        _ = self.questions(of: &liveness, until: 2_100)
        #expect(liveness.isSuspect)
    }

    @Test func `the end that only answers never asks`() {
        var liveness = ChannelLiveness(probes: false, at: at(0))
        liveness.sent(at: at(0))
        #expect(liveness.nextDeadline == nil)
        #expect(liveness.timerFired(at: at(60_000)) == nil)
        #expect(!liveness.isSuspect)
    }
}
