import NIOCore
import Testing

@testable import PeerSupport

@Suite struct InterfaceWatchTests {
    private let start = NIODeadline.uptimeNanoseconds(2)

    @Test func `a missing interface is told at once, every five minutes, and when it is there`() {
        var watch = InterfaceWatch(names: ["eth0", "wg0"])
        var told: [Int64] = []
        for second in stride(from: Int64(0), to: 700, by: 10) {
            let notice = watch.look(at: ["lo", "eth0"], at: self.start + .seconds(second))
            if let notice {
                #expect(notice == .missing(["wg0"], present: ["eth0", "lo"]))
                told.append(second)
            }
        }
        #expect(told == [0, 300, 600])
        #expect(watch.look(at: ["eth0", "wg0"], at: self.start + .seconds(700)) == .complete(after: .seconds(700)))
        #expect(watch.look(at: ["eth0", "wg0"], at: self.start + .seconds(710)) == nil)
        #expect(
            watch.look(at: [], at: self.start + .seconds(720)) == .missing(["eth0", "wg0"], present: []))
        // One of the two is back, which is news.
        #expect(watch.look(at: ["eth0"], at: self.start + .seconds(730)) == .missing(["wg0"], present: ["eth0"]))
    }

    @Test func `when all are there nothing is told`() {
        var watch = InterfaceWatch(names: ["lo"])
        #expect(watch.look(at: ["lo"], at: self.start) == nil)
    }
}
