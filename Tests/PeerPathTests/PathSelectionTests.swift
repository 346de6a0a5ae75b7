import ICE
import NIOCore
import STUN
import Testing

@testable import PeerPath

/// States × events, with pairs that a real ICE session has found.
@Suite struct PathSelectionTests {
    private static let now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private let one: ICECandidatePair
    private let two: ICECandidatePair

    init() throws {
        let pair = EnginePair()
        pair.begin()
        _ = pair.run(until: .seconds(5)) { $0.path(.client) == "direct" }
        self.one = try #require(pair.engines[.client]?.activePath?.pair)
        pair.tell(.client) { $0.receive(.restartWanted, at: $1) }
        _ = pair.run(until: .seconds(5)) { $0.engines[.client]?.activePath?.pair.id != nil && $0.restarts.count == 1 }
        pair.run(for: .seconds(5))
        self.two = try #require(pair.engines[.client]?.activePath?.pair)
        try #require(self.one.id != self.two.id)
    }

    private func path(_ pair: ICECandidatePair) -> DirectPath {
        DirectPath(
            pair: pair,
            monitor: PathMonitor(ceiling: 1452, usesPadding: true, roundTripTime: nil, at: Self.now))
    }

    private func confirmed() -> PathSelection {
        var selection = PathSelection()
        selection.begin(self.path(self.one))
        selection.confirmed(.active)
        return selection
    }

    @Test func `the first pair is active at once, and another one takes its place while it is unconfirmed`() {
        var selection = PathSelection()
        let isKnown = selection.keeps(self.one)
        #expect(!isKnown)
        selection.begin(self.path(self.one))
        #expect(selection.active?.standing == .unconfirmed)
        let isKnownNow = selection.keeps(self.one)
        #expect(isKnownNow)
        selection.begin(self.path(self.two))
        #expect(selection.active?.pair.id == self.two.id)
        #expect(selection.contender == nil)
    }

    @Test func `a new path beside a confirmed one is a contender until it is confirmed`() {
        var selection = self.confirmed()
        selection.begin(self.path(self.two))
        #expect(selection.active?.pair.id == self.one.id)
        #expect(selection.contender?.standing == .unconfirmed)
        selection.confirmed(.contender)
        #expect(selection.active?.pair.id == self.two.id)
        #expect(selection.active?.standing == .confirmed)
        #expect(selection.contender == nil)
    }

    @Test func `the contender is dropped when ICE returns to the active path`() {
        var selection = self.confirmed()
        selection.begin(self.path(self.two))
        let isKnown = selection.keeps(self.one)
        #expect(isKnown)
        #expect(selection.contender == nil)
        #expect(selection.active?.standing == .confirmed)
    }

    @Test func `a path that is lost stays to come back, unless there is another one to try`() {
        var selection = self.confirmed()
        selection.lost()
        #expect(selection.active?.standing == .lost)
        selection.confirmed(.active)
        #expect(selection.active?.standing == .confirmed)
        selection.begin(self.path(self.two))
        selection.lost()
        #expect(selection.active?.pair.id == self.two.id)
        #expect(selection.active?.standing == .unconfirmed)
        #expect(selection.contender == nil)
    }

    @Test func `a path that is removed is followed by its contender`() {
        var selection = self.confirmed()
        selection.begin(self.path(self.two))
        #expect(selection.place(of: self.two) == .contender)
        selection.remove(.active)
        #expect(selection.active?.pair.id == self.two.id)
        #expect(selection.contender == nil)
        selection.remove(.active)
        #expect(selection.active == nil)
        #expect(selection.place(of: self.two) == nil)
    }
}
