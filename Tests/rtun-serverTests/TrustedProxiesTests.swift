import Basics
import NIOCore
import NIOHTTP1
import Testing

@testable import rtun_server

@Suite struct TrustedProxiesTests {
    private let proxies = TrustedProxies(
        ["10.0.0.0/8", "2001:db8:1::/48"].compactMap { try? AddressBlock(parsing: $0) })

    private func origin(_ forwarded: [String], from proxy: String) throws -> String? {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/pub/ws")
        for value in forwarded { head.headers.add(name: "X-Forwarded-For", value: value) }
        return self.proxies.origin(of: head, from: try SocketAddress(ipAddress: proxy, port: 9))?.ipAddress
    }

    @Test(
        arguments: [
            (["203.0.113.5"], "10.0.0.1", "203.0.113.5"),
            // What the client has written stands in front, and is not believed.
            (["198.51.100.1, 203.0.113.5"], "10.0.0.1", "203.0.113.5"),
            (["198.51.100.1", "203.0.113.5"], "10.0.0.1", "203.0.113.5"),
            // One trusted proxy behind the other.
            (["198.51.100.1, 203.0.113.5, 10.0.0.2"], "10.0.0.1", "203.0.113.5"),
            (["203.0.113.5:4711"], "10.0.0.1", "203.0.113.5"),
            (["[2001:db8:2::5]:4711"], "10.0.0.1", "2001:db8:2::5"),
            (["2001:db8:2::5"], "2001:db8:1::1", "2001:db8:2::5"),
            (["203.0.113.5"], "::ffff:10.0.0.1", "203.0.113.5"),
            (["::ffff:203.0.113.5"], "10.0.0.1", "203.0.113.5"),
            (["[::FFFF:203.0.113.5]:80"], "10.0.0.1", "203.0.113.5"),
            (["203.0.113.5, ::ffff:10.0.0.2"], "10.0.0.1", "203.0.113.5"),
            // Nobody, or nothing, to be believed.
            (["203.0.113.5"], "192.0.2.1", nil),
            ([], "10.0.0.1", nil),
            (["unknown"], "10.0.0.1", nil),
            (["203.0.113.5, garbage"], "10.0.0.1", nil),
            (["10.0.0.3"], "10.0.0.1", nil),
        ] as [([String], String, String?)])
    func `the last address that is not a trusted proxy's counts`(
        forwarded: [String], proxy: String, origin: String?
    ) throws {
        #expect(try self.origin(forwarded, from: proxy) == origin)
    }
}
