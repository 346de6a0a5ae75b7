import NIOCore
import Testing

@testable import CommandSupport

@Suite struct ListenAddressTests {
    private func address(_ text: String) throws(HostPortError) -> ListenAddress {
        try ListenAddress(parsing: text, defaultHost: "127.0.0.1", defaultPort: 2080)
    }

    @Test(arguments: [
        ("8888", "127.0.0.1:8888"), (":8888", "[::]:8888"), ("*:8888", "[::]:8888"), ("*", "[::]:2080"),
        ("0.0.0.0", "0.0.0.0:2080"), ("[::]:0", "[::]:0"), ("localhost:1", "localhost:1"), ("[::1]", "[::1]:2080"),
        ("192.0.2.1:80", "192.0.2.1:80"),
    ])
    func `short forms mean what a person expects`(text: String, meaning: String) throws {
        #expect(try self.address(text).description == meaning)
    }

    @Test(arguments: [
        ("", HostPortError.missingHost("")), ("65536", .invalidPort("65536")), ("::", .unbracketedIPv6("::")),
        (":x", .invalidPort(":x")), ("1.2:80", .oldIPv4("1.2:80", "1.0.0.2")),
    ])
    func `ambiguous addresses are refused`(text: String, error: HostPortError) {
        #expect(throws: error) { try self.address(text) }
    }

    @Test func `a wildcard is announced as typed, any other address as bound`() throws {
        let bound = try SocketAddress(ipAddress: "127.0.0.1", port: 4711)
        #expect(try self.address("localhost:0").announced(as: bound) == "127.0.0.1:4711")
        #expect(try self.address("[::]:0").announced(as: bound) == "[::]:4711")
    }

    @Test func `the IPv6 wildcard stands for both families`() throws {
        #expect(try self.address("[::]:7").resolve().map(\.ipAddress) == ["::", "0.0.0.0"])
        #expect(try self.address("127.0.0.1:7").resolve().map(\.ipAddress) == ["127.0.0.1"])
    }

    @Test func `errors say what to try`() throws {
        let low = try self.address("127.0.0.1:443")
        #expect("\(low.error(IOError(errnoCode: 13, reason: "bind")))".contains("CAP_NET_BIND_SERVICE"))
        let high = try self.address("127.0.0.1:4443")
        #expect(!"\(high.error(IOError(errnoCode: 13, reason: "bind")))".contains("CAP_NET_BIND_SERVICE"))
        #expect("\(high.error(IOError(errnoCode: 98, reason: "bind")))".contains("ss -lntup"))
        #expect(high.error(IOError(errnoCode: 98, reason: "bind")).status == .unavailable)
    }
}
