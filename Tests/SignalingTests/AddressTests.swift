import NIOCore
import Testing

@testable import Signaling

@Suite struct AddressTests {
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
    }
}
