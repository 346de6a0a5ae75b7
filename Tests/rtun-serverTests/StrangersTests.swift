import NIOCore
import Testing

@testable import rtun_server

@Suite struct StrangersTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private final class Closed {
        var numbers: [Int] = []
    }

    @Test func `the oldest is closed when there are too many`() {
        let strangers = Strangers(limit: 3)
        let closed = Closed()
        for number in 0..<5 {
            _ = strangers.add(from: nil, at: self.start) { closed.numbers.append(number) }
        }
        #expect(closed.numbers == [0, 1])
        #expect(strangers.count == 3)
    }

    @Test func `a connection that has proved the secret is left alone`() {
        let strangers = Strangers(limit: 2)
        let closed = Closed()
        let first = strangers.add(from: nil, at: self.start) { closed.numbers.append(0) }
        _ = strangers.add(from: nil, at: self.start) { closed.numbers.append(1) }
        strangers.remove(first)
        _ = strangers.add(from: nil, at: self.start) { closed.numbers.append(2) }
        #expect(closed.numbers.isEmpty)
        _ = strangers.add(from: nil, at: self.start) { closed.numbers.append(3) }
        #expect(closed.numbers == [1])
    }

    @Test func `forgotten connections free their places`() {
        let strangers = Strangers(limit: 2)
        let closed = Closed()
        _ = strangers.add(from: nil, at: self.start) { closed.numbers.append(0) }
        _ = strangers.add(from: nil, at: self.start + .seconds(60)) { closed.numbers.append(1) }
        #expect(strangers.count == 1)
        #expect(closed.numbers.isEmpty)
    }

    @Test func `a flood from one network closes its own connections, and nobody else's`() throws {
        let strangers = Strangers(limit: 64)
        let closed = Closed()
        func add(_ number: Int, from address: String) throws {
            let source = try SocketAddress(ipAddress: address, port: 1000 + number)
            _ = strangers.add(from: source, at: self.start) { closed.numbers.append(number) }
        }
        try add(0, from: "192.0.2.1")
        try add(1, from: "2001:db8:1::1")
        for number in 2..<1000 { try add(number, from: "203.0.113.5") }
        // A /64 is one network, whatever the rest of the address says.
        for number in 1000..<2000 { try add(number, from: "2001:db8:2::\(String(number, radix: 16))") }
        #expect(!closed.numbers.contains(0) && !closed.numbers.contains(1))
        #expect(strangers.count == 2 + 2 * 4)
    }

    @Test func `when all places are taken, the network that has most of them loses one`() throws {
        let strangers = Strangers(limit: 32)
        let closed = Closed()
        for number in 0..<40 {
            let source = try SocketAddress(ipAddress: "192.0.2.\(number < 30 ? number : 1)", port: 1)
            _ = strangers.add(from: source, at: self.start) { closed.numbers.append(number) }
        }
        #expect(strangers.count <= 32)
        #expect(closed.numbers.first == 1)
    }

    @Test func `a connection through a trusted proxy counts for its own address`() throws {
        let strangers = Strangers(limit: 32)
        let closed = Closed()
        for number in 0..<20 {
            let id = strangers.add(from: nil, at: self.start) { closed.numbers.append(number) }
            strangers.move(id, to: try SocketAddress(ipAddress: "203.0.113.\(number % 2)", port: 0))
        }
        #expect(strangers.count == 4)
    }
}
