import NIOCore
import Testing

@testable import rtun_socks

@Suite struct `listening addresses` {
    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.0.9", true), ("::1", true), ("0.0.0.0", false), ("192.0.2.1", false),
        ("::", false), ("::2", false), ("2001:db8::1", false), ("::ffff:127.0.0.1", false),
    ])
    func `only loopback stays on this machine`(address: String, expected: Bool) throws {
        #expect(try SocketAddress(ipAddress: address, port: 1).isOnThisMachineOnly == expected)
    }

    @Test func `are written with brackets where needed`() throws {
        #expect(try SocketAddress(ipAddress: "::1", port: 80).text == "[::1]:80")
        #expect(try SocketAddress(ipAddress: "192.0.2.1", port: 80).text == "192.0.2.1:80")
    }
}
