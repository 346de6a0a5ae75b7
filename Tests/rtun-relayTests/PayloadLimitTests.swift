import Testing

@testable import rtun_relay

@Suite struct PayloadLimitTests {
    @Test func `the smaller of what was asked for and what the path carries counts`() {
        #expect(PayloadLimit(asked: 1000).payload(on: 1409) == 1000)
        #expect(PayloadLimit(asked: 1000).payload(on: 900) == 900)
        #expect(PayloadLimit(asked: nil).payload(on: 1409) == 1409)
    }

    @Test func `a path that carries less than was asked for is told of once, until it carries more`() {
        var limit = PayloadLimit(asked: 1300)
        #expect(limit.isCut(to: 1409) == nil)
        #expect(limit.isCut(to: 1209) == 1300)
        #expect(limit.isCut(to: 1209) == nil)
        #expect(limit.isCut(to: 1100) == 1300)
        #expect(limit.isCut(to: 1409) == nil)
        #expect(limit.isCut(to: 1209) == 1300)
        var unasked = PayloadLimit(asked: nil)
        #expect(unasked.isCut(to: 500) == nil)
    }
}
