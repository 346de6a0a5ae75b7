import Basics
import Logging
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import rtun_socks

@Suite struct `failed logins in the log` {
    private let record = LogRecord()
    private let loop = EmbeddedEventLoop()
    private let failures: LoginFailures

    init() {
        self.failures = LoginFailures(eventLoop: self.loop, logger: self.record.logger)
    }

    private func fail(_ address: String, user: String = "bob", times: Int = 1) throws {
        let client = try SocketAddress(ipAddress: address, port: 1234)
        for _ in 0..<times { self.failures.failed(client, method: "http", user: user) }
    }

    @Test func `say who, and how`() throws {
        try self.fail("192.0.2.1")
        self.failures.failed(nil, method: "socks5", user: "a b")
        #expect(
            self.record.lines.map(\.metadata) == [
                ["event": "auth.failed", "client": "192.0.2.1", "method": "http", "user": "bob"],
                ["event": "auth.failed", "client": "unix", "method": "socks5", "user": "a b"],
            ])
    }

    @Test func `are not more than the log can bear, and the first of each address is told`() throws {
        try self.fail("192.0.2.1", times: 1000)
        #expect(self.record.lines.count == 10)
        try self.fail("192.0.2.2")
        #expect(self.record.lines.count == 11)
        self.loop.advanceTime(by: .seconds(2))
        try self.fail("192.0.2.1", times: 2)
        #expect(self.record.lines.count == 12)
        #expect(self.record.lines.last?.metadata["left_out"] == .stringConvertible(990))
        self.loop.advanceTime(by: .hours(1))
        for network in 0..<10000 { try self.fail("198.51.\(network / 250).\(network % 250 + 1)") }
        #expect(self.record.lines.count == 212)
    }
}
