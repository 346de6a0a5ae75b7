import Testing

@testable import rtun_agent

@Suite struct QuotaTests {
    @Test func `a place that was given back can be taken again`() {
        var quota = Quota(limit: 2)
        let first = [quota.take(), quota.take(), quota.take()]
        #expect(first == [true, true, false])
        #expect(quota.used == 2)
        quota.giveBack()
        let second = [quota.take(), quota.take()]
        #expect(second == [true, false])
    }
}
