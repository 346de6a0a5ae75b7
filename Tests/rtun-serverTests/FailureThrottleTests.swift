import NIOCore
import Testing

@testable import rtun_server

@Suite struct FailureThrottleTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func address(_ text: String) throws -> SocketAddress {
        try SocketAddress(ipAddress: text, port: 1)
    }

    @Test func `the first failures cost nothing, then comes a wait, then a refusal`() throws {
        var throttle = FailureThrottle()
        let attacker = try self.address("192.0.2.1")
        for _ in 0..<10 {
            #expect(throttle.admit(attacker, at: self.start) == .now)
            throttle.recordFailure(attacker, at: self.start)
        }
        #expect(throttle.admit(attacker, at: self.start) == .now)
        throttle.recordFailure(attacker, at: self.start)
        #expect(throttle.admit(attacker, at: self.start) == .after(.seconds(2)))
        throttle.recordFailure(attacker, at: self.start)
        throttle.recordFailure(attacker, at: self.start)
        #expect(throttle.admit(attacker, at: self.start) == .refused)
        #expect(throttle.admit(try self.address("192.0.2.2"), at: self.start) == .now)
    }

    @Test func `a minute after the last failure an address is admitted again`() throws {
        var throttle = FailureThrottle()
        let attacker = try self.address("192.0.2.1")
        for _ in 0..<10_000 { throttle.recordFailure(attacker, at: self.start) }
        #expect(throttle.admit(attacker, at: self.start + .seconds(55)) == .refused)
        #expect(throttle.admit(attacker, at: self.start + .seconds(60)) == .now)
    }

    @Test func `all of an IPv6 network of 64 bits counts as one`() throws {
        var throttle = FailureThrottle()
        for index in 1...20 { throttle.recordFailure(try self.address("2001:db8::\(index)"), at: self.start) }
        #expect(throttle.admit(try self.address("2001:db8::99"), at: self.start) == .refused)
        #expect(throttle.admit(try self.address("2001:db8:0:1::1"), at: self.start) == .now)
    }

    @Test func `the table of addresses stays bounded`() throws {
        var throttle = FailureThrottle()
        for index in 0..<20_000 {
            throttle.recordFailure(try self.address("10.0.\(index / 256).\(index % 256)"), at: self.start)
        }
        #expect(throttle.count <= 16_384)
    }

    @Test func `one peer with a wrong secret does not keep out those behind the same proxy`() throws {
        var throttle = FailureThrottle(.proxy)
        let proxy = try self.address("127.0.0.1")
        for second in 0..<600 {
            let now = self.start + .seconds(Int64(second))
            for _ in 0..<10 { throttle.recordFailure(proxy, at: now) }
            #expect(throttle.admit(proxy, at: now) == .now)
        }
        for _ in 0..<1000 { throttle.recordFailure(proxy, at: self.start + .seconds(600)) }
        #expect(throttle.admit(proxy, at: self.start + .seconds(600)) == .refused)
    }
}
