import FlowLedger
import NIOCore
import Testing

@testable import UDPRelay

struct FlowTableTests {
    private func time(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }

    @Test func `flows expire in the order of their last activity`() {
        var table = FlowTable<String, Int>(capacity: 10)
        for (second, key) in ["a", "b", "c"].enumerated() {
            _ = table.insert(key, second, at: self.time(Int64(second)))
        }
        _ = table.touch("a", at: self.time(3))
        let expired = [self.time(1), self.time(3), self.time(3), self.time(3)].map { table.removeIdle(before: $0)?.key }
        #expect(expired == [nil, "b", "c", nil])
        #expect(table.oldestActivity == self.time(3))
        #expect(table.count == 1)
    }

    @Test func `the slot of a former flow finds nothing`() throws {
        var table = FlowTable<String, Int>(capacity: 1)
        let first = table.insert("a", 1, at: self.time(0))
        let slot = try #require(first)
        let tooMany = table.insert("b", 2, at: self.time(0))
        #expect(tooMany == nil)
        let removed = table.remove(slot)
        #expect(removed?.value == 1)
        let second = table.insert("b", 2, at: self.time(0))
        let (again, touched) = (table.remove(slot)?.value, table.touch(slot, at: self.time(9)))
        #expect(table[slot] == nil)
        #expect(again == nil)
        #expect(touched == nil)
        #expect(table[try #require(second)] == 2)
    }

    @Test func `the table agrees with a plain dictionary whatever is done to it`() {
        var random = SystemRandomNumberGenerator()
        var table = FlowTable<Int, Int>(capacity: 50)
        var model: [Int: (value: Int, active: Int64, isAnswered: Bool)] = [:]
        for step in Int64(0)..<20000 {
            let key = Int.random(in: 0..<80, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                let inserted = table.insert(key, Int(step), at: self.time(step)) != nil
                #expect(inserted == (model[key] == nil && model.count < 50))
                if inserted { model[key] = (Int(step), step, false) }
            case 1:
                let touched = table.touch(key, at: self.time(step)) != nil
                #expect(touched == (model[key] != nil))
                model[key]?.active = step
            case 2:
                let removed = table.removeValue(of: key)
                #expect(removed == model.removeValue(forKey: key)?.value)
            case 3:
                let answered = table.answer(key, at: self.time(step))
                #expect(answered == (model[key] != nil))
                model[key]?.active = step
                model[key]?.isAnswered = true
            case 4:
                let (early, late) = (max(0, step - 60), max(0, step - 30))
                let candidates = [(false, late), (true, early)].lazy.compactMap { isAnswered, limit in
                    model.filter { $0.value.isAnswered == isAnswered && $0.value.active < limit }
                        .min { $0.value.active < $1.value.active }
                }
                let removed = table.removeLeastUsed(
                    unansweredBefore: self.time(late), answeredBefore: self.time(early))
                #expect(removed?.key == candidates.first?.key)
                if let removed { model[removed.key] = nil }
            default:
                let limit = max(0, step - 30)
                let expected = model.filter { $0.value.active < limit }.min { $0.value.active < $1.value.active }?.key
                let removed = table.removeIdle(before: self.time(limit))?.key
                #expect(removed == expected)
                if let removed { model[removed] = nil }
            }
            #expect(table.count == model.count)
        }
        let rest = table.removeAll().map(\.key)
        #expect(Set(rest) == Set(model.keys))
    }

    @Test func `client flows are found from both sides, and ids are not used again at once`() {
        var flows = ClientFlows<String>(capacity: 2)
        let opened = ["a", "b", "c"].enumerated().map { flows.open(for: $1, sending: 1, at: self.time(Int64($0))) }
        let (first, second, third) = (FlowID(rawValue: 1), FlowID(rawValue: 2), FlowID(rawValue: 3))
        #expect(opened == [first, second, nil])
        let known = ["a", "c"].map { flows.flow(of: $0, sending: 10, at: self.time(3)) }
        #expect(known == [first, nil])
        let sources = [second, .control].map { flows.source(ofAnswerOn: $0, receiving: 100, at: self.time(4)) }
        #expect(sources == ["b", nil])
        let idle = flows.removeIdle(before: self.time(4))
        #expect(idle?.source == "a" && idle?.flow.traffic == FlowTraffic(sent: 11))
        let anew = flows.open(for: "a", sending: 1, at: self.time(5))
        #expect(anew == third)
        let forgotten = flows.remove(third)
        #expect(forgotten?.source == "a")
        let rest = flows.removeAll()
        #expect(rest.map(\.flow.traffic) == [FlowTraffic(sent: 1, received: 100)])
        let gone = flows.source(ofAnswerOn: second, receiving: 1, at: self.time(6))
        #expect(gone == nil)
    }

    @Test func `idle flows make room, those that had an answer last`() {
        var flows = ClientFlows<String>(capacity: 3)
        let opened = ["a", "b", "c"].map { flows.open(for: $0, sending: 1, at: self.time(10)) }
        #expect(!opened.contains(nil))
        _ = flows.source(ofAnswerOn: FlowID(rawValue: 1), receiving: 1, at: self.time(10))
        _ = flows.flow(of: "b", sending: 1, at: self.time(12))
        // At 11.5 s "c" has been idle for long enough, at 12.5 s "a", which has an answer, and only then "b".
        let times = [1000, 1500, 2000, 2500, 2500, 3500].map { self.time(10) + .milliseconds($0) }
        #expect(times.map { flows.makeRoom(at: $0)?.source } == [nil, "c", nil, "a", nil, "b"])
    }

    @Test func `flows are opened at a rate, and in bursts`() {
        var rate = FlowRate()
        let burst = (0..<5000).count { _ in rate.take(at: self.time(10)) }
        #expect(burst == 1500)
        // 5000 a second may always be opened.
        let steady = (0..<20_000).count { rate.take(at: self.time(20) + .microseconds(Int64($0) * 200)) }
        #expect(steady == 20_000)
        // A rule that leads to itself opens one as soon as the one before is open.
        var opened = 0
        while rate.take(at: self.time(30) + .microseconds(Int64(opened) * 60)) { opened += 1 }
        #expect(opened < 3000)
    }

    @Test func `a sweep over 100 000 flows that are not idle costs nothing`() {
        var table = FlowTable<Int, Int>(capacity: 100_000)
        for key in 0..<100_000 { _ = table.insert(key, key, at: self.time(1)) }
        var removed = 0
        let spent = ContinuousClock().measure {
            for _ in 0..<1000 where table.removeIdle(before: self.time(1)) != nil { removed += 1 }
        }
        #expect(removed == 0)
        #expect(spent < .milliseconds(500))
    }
}
