import NIOCore
import Testing

@testable import rtun_server

@Suite struct PassOnLimitsTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let client = SessionID(1)
    private let other = SessionID(2)
    private let agent = SessionID(3)
    private let agent2 = SessionID(4)

    /// How many messages of 16 KiB are let through at once.
    private func admitted(
        _ limits: inout PassOnLimits, _ count: Int, from sender: SessionID, to receiver: SessionID,
        after time: TimeAmount = .zero
    ) -> Int {
        (0..<count).count { _ in
            limits.admit(PassOnLimits.maximumMessage, from: sender, to: receiver, at: self.start + time)
        }
    }

    @Test func `only a client that floods an agent is held up`() {
        var limits = PassOnLimits()
        let first = self.admitted(&limits, 1000, from: self.client, to: self.agent)
        #expect((32...64).contains(first))
        let others = [
            self.admitted(&limits, 10, from: self.client, to: self.agent2),
            self.admitted(&limits, 10, from: self.other, to: self.agent),
        ]
        #expect(others == [10, 10])
        // What it may say comes back in time.
        let later = self.admitted(&limits, 1000, from: self.client, to: self.agent, after: .seconds(2))
        #expect(later > 10)
    }

    @Test func `a client that floods all agents is held up`() {
        var limits = PassOnLimits()
        var admitted = 0
        for number in 10..<40 as Range<UInt64> {
            admitted += self.admitted(&limits, 50, from: self.client, to: SessionID(number))
        }
        #expect((64...128).contains(admitted))
    }

    @Test func `a hundred channels at once are not too many`() {
        var limits = PassOnLimits()
        var admitted = 0
        for _ in 0..<100 {
            // An offer, and ten candidates.
            for bytes in [2000] + [Int](repeating: 200, count: 10)
            where limits.admit(bytes, from: self.client, to: self.agent, at: self.start) { admitted += 1 }
        }
        #expect(admitted == 1100)
    }

    @Test func `a session that has ended leaves nothing behind`() {
        var limits = PassOnLimits()
        _ = self.admitted(&limits, 1000, from: self.client, to: self.agent)
        limits.remove(self.client)
        let again = self.admitted(&limits, 10, from: self.client, to: self.agent)
        #expect(again == 10)
    }
}
