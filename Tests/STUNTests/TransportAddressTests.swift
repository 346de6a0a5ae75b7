import NIOCore
import Testing

@testable import STUN

@Suite struct `Transport addresses` {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1:3478"), ("0.0.0.0", "0.0.0.0:3478"), ("2001:db8::1", "[2001:db8::1]:3478"),
        ("::", "[::]:3478"), ("::ffff:192.0.2.1", "192.0.2.1:3478"),
    ])
    func `convert from and to NIO's addresses`(ip: String, text: String) throws {
        let address = try #require(TransportAddress(try SocketAddress(ipAddress: ip, port: 3478)))
        #expect("\(address)" == text)
        let back = try #require(address.socketAddress)
        #expect(TransportAddress(back) == address)
        #expect(address.octets.count == (address.family == .ipv4 ? 4 : 16))
    }

    @Test func `the scope of a link-local address does not matter`() throws {
        let plain = try #require(TransportAddress(try SocketAddress(ipAddress: "fe80::1", port: 1)))
        let scoped = try #require(TransportAddress(try SocketAddress(ipAddress: "fe80::1%lo", port: 1)))
        #expect(plain == scoped)
        #expect(plain.isIPv6LinkLocal)
    }

    @Test(arguments: [
        ("127.0.0.1", [true, false, false, false]), ("127.255.0.1", [true, false, false, false]),
        ("::1", [true, false, false, false]), ("::2", [false, false, false, false]),
        ("fe80::1", [false, true, false, false]), ("febf::1", [false, true, false, false]),
        ("fec0::1", [false, false, false, false]), ("169.254.1.1", [false, false, false, false]),
        ("0.0.0.0", [false, false, true, false]), ("::", [false, false, true, false]),
        ("224.0.0.1", [false, false, false, true]), ("255.255.255.255", [false, false, false, true]),
        ("ff02::1", [false, false, false, true]), ("223.255.255.255", [false, false, false, false]),
        ("240.0.0.1", [false, false, false, false]),
    ])
    func `are classified`(ip: String, expected: [Bool]) throws {
        let address = try #require(TransportAddress(try SocketAddress(ipAddress: ip, port: 1)))
        let actual = [
            address.isLoopback, address.isIPv6LinkLocal, address.isUnspecified, address.isMulticastOrBroadcast,
        ]
        #expect(actual == expected)
    }

    @Test func `a Unix-domain address is refused`() throws {
        #expect(TransportAddress(try SocketAddress(unixDomainSocketPath: "/tmp/x")) == nil)
    }
}
