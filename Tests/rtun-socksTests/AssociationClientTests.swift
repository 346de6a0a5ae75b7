import NIOCore
import Testing

@testable import rtun_socks

@Suite struct AssociationClientTests {
    private static func address(_ ip: String, _ port: Int) throws -> SocketAddress {
        try SocketAddress(ipAddress: ip, port: port)
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("192.0.2.7", "192.0.2.1", "192.0.2.1"), ("::1", "::1", "::1"),
        ("2001:db8::7", "2001:db8::1", "2001:db8::1"),
        // As a socket for both families shows it.
        ("::ffff:192.0.2.7", "::ffff:192.0.2.1", "192.0.2.1"),
    ])
    func `the relay is at the address that the client has reached`(remote: String, local: String, relay: String) throws
    {
        let client = try #require(
            AssociationClient(
                remote: try Self.address(remote, 5000), local: try Self.address(local, 2080), port: nil))
        #expect(client.relay == (try Self.address(relay, 0)))
    }

    @Test func `the first datagram of the client's address settles its port`() throws {
        var client = try #require(
            AssociationClient(
                remote: try Self.address("192.0.2.7", 5000), local: try Self.address("192.0.2.1", 2080), port: nil))
        #expect(!client.isSource(try Self.address("192.0.2.8", 6000)))
        #expect(client.isSource(try Self.address("192.0.2.7", 6000)))
        #expect(client.isSource(try Self.address("192.0.2.7", 6001)))
        client.settle(try Self.address("192.0.2.7", 6000))
        #expect(client.isSource(try Self.address("192.0.2.7", 6000)))
        #expect(!client.isSource(try Self.address("192.0.2.7", 6001)))
        #expect(client.isSource(try Self.address("::ffff:192.0.2.7", 6000)))
    }

    @Test func `a port that the client has named is the only one`() throws {
        let client = try #require(
            AssociationClient(
                remote: try Self.address("::ffff:192.0.2.7", 5000), local: try Self.address("::ffff:192.0.2.1", 2080),
                port: 6000))
        #expect(client.isSource(try Self.address("192.0.2.7", 6000)))
        #expect(!client.isSource(try Self.address("192.0.2.7", 6001)))
    }

    @Test func `over a Unix-domain socket the client has to name its port`() throws {
        let path = try SocketAddress(unixDomainSocketPath: "/run/rtun.sock")
        #expect(AssociationClient(remote: path, local: path, port: nil) == nil)
        let client = try #require(AssociationClient(remote: path, local: path, port: 6000))
        #expect(client.relay == (try Self.address("127.0.0.1", 0)))
        #expect(client.isSource(try Self.address("127.0.0.1", 6000)))
        #expect(!client.isSource(try Self.address("127.0.0.1", 6001)))
    }

    @Test func `who has no address has no association`() throws {
        #expect(AssociationClient(remote: nil, local: try Self.address("127.0.0.1", 1), port: 1) == nil)
        #expect(AssociationClient(remote: try Self.address("127.0.0.1", 1), local: nil, port: 1) == nil)
    }
}
