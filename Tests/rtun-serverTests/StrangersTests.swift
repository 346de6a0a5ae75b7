import NIOCore
import Testing

@testable import rtun_server

@Suite struct StrangersTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private final class Closed {
        var numbers: [Int] = []
    }

    @Test func `the oldest goes when there are too many`() {
        let strangers = Strangers(limit: 3)
        let closed = Closed()
        for number in 0..<5 {
            _ = strangers.add(at: self.start) { closed.numbers.append(number) }
        }
        #expect(closed.numbers == [0, 1])
        #expect(strangers.count == 3)
    }

    @Test func `whoever has proved the secret is let alone`() {
        let strangers = Strangers(limit: 2)
        let closed = Closed()
        let first = strangers.add(at: self.start) { closed.numbers.append(0) }
        _ = strangers.add(at: self.start) { closed.numbers.append(1) }
        strangers.remove(first)
        _ = strangers.add(at: self.start) { closed.numbers.append(2) }
        #expect(closed.numbers.isEmpty)
        _ = strangers.add(at: self.start) { closed.numbers.append(3) }
        #expect(closed.numbers == [1])
    }

    @Test func `those that were forgotten take no place for ever`() {
        let strangers = Strangers(limit: 2)
        let closed = Closed()
        _ = strangers.add(at: self.start) { closed.numbers.append(0) }
        _ = strangers.add(at: self.start + .seconds(60)) { closed.numbers.append(1) }
        #expect(strangers.count == 1)
        #expect(closed.numbers.isEmpty)
    }
}
