import Basics
import NIOCore
import Testing

@Suite struct `Addresses of sockets` {
    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.0.9", true), ("128.0.0.1", false), ("10.0.0.1", false),
        ("::1", true), ("::ffff:127.0.0.1", true), ("::ffff:10.0.0.1", false), ("::2", false), ("fe80::1", false),
    ])
    func `loopback addresses are known`(text: String, isLoopback: Bool) throws {
        #expect(try SocketAddress(ipAddress: text, port: 1).isLoopback == isLoopback)
    }

    @Test func `addresses are shown with their port`() throws {
        #expect(try SocketAddress(ipAddress: "192.0.2.1", port: 9).authority == "192.0.2.1:9")
        #expect(try SocketAddress(ipAddress: "2001:db8::1", port: 9).authority == "[2001:db8::1]:9")
        #expect(try SocketAddress(unixDomainSocketPath: "/run/x").authority == "unix:/run/x")
        // A client's has no path.
        #expect(try SocketAddress(unixDomainSocketPath: "").authority == "unix")
    }

    @Test(arguments: [
        ("0.0.0.0", true), ("::", true), ("0.0.0.1", false), ("::1", false), ("::ffff:0.0.0.0", false),
    ])
    func `wildcards stand for all addresses of their family`(text: String, isWildcard: Bool) throws {
        #expect(try SocketAddress(ipAddress: text, port: 1).isWildcard == isWildcard)
    }
}
