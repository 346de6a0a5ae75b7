import NIOCore
import Testing

@testable import HostNetwork

/// What is said to rtnetlink(7), and how its answers are read.
struct NetlinkTests {
    /// A message in the machine's byte order: structure and attributes.
    private static func message(
        _ type: Int, structure: [UInt8], _ attributes: [(type: UInt16, value: [UInt8])]
    ) -> ByteBuffer {
        var payload = ByteBuffer(bytes: structure)
        for attribute in attributes { payload.writeNetlinkAttribute(CInt(attribute.type), attribute.value) }
        return NetlinkMessage.request(CInt(type), payload)
    }

    private static func host(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    private static func route(
        type: UInt8 = 1, _ attributes: [(type: UInt16, value: [UInt8])]
    ) throws -> NetworkRoute? {
        var bytes = self.message(24, structure: [2, 32, 0, 0, 254, 0, 0, type, 0, 0, 0, 0], attributes)
        return NetworkRoute(try #require(NetlinkMessage(readingFrom: &bytes)))
    }

    @Test func `a route is its interface and its router`() throws {
        // RTA_DST, RTA_OIF, RTA_PREFSRC, RTA_GATEWAY
        let attributes: [(type: UInt16, value: [UInt8])] = [
            (1, [193, 0, 14, 129]), (4, Self.host(7)), (7, [192, 0, 2, 9]), (5, [192, 0, 2, 1]),
        ]
        #expect(try Self.route(attributes) == NetworkRoute(interfaceIndex: 7, gateway: [192, 0, 2, 1]))
        #expect(try Self.route([(4, Self.host(7))]) == NetworkRoute(interfaceIndex: 7, gateway: nil))
        // RTA_VIA: an IPv6 router for IPv4.
        let router: [UInt8] = [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
        #expect(
            try Self.route([(4, Self.host(7)), (18, [10, 0] + router)])
                == NetworkRoute(interfaceIndex: 7, gateway: router))
    }

    @Test func `a route that leads nowhere is ignored`() throws {
        #expect(try Self.route(type: 7, [(4, Self.host(1))]) == nil)  // RTN_UNREACHABLE
        #expect(try Self.route([(5, [192, 0, 2, 1])]) == nil)
        #expect(try Self.route([(4, [1, 2])]) == nil)
    }

    @Test func `cut and invalid messages are read as far as they go`() throws {
        let whole = Self.message(
            24, structure: [2, 32, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0], [(4, Self.host(7)), (5, [192, 0, 2, 1])])
        for length in 0..<whole.readableBytes {
            var bytes = try #require(whole.getSlice(at: whole.readerIndex, length: length))
            #expect(NetlinkMessage(readingFrom: &bytes) == nil)
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var bytes = ByteBuffer(bytes: (0..<100).map { _ in UInt8.random(in: 0...40, using: &generator) })
            while let message = NetlinkMessage(readingFrom: &bytes) {
                _ = NetworkRoute(message)
                _ = TentativeAddresses([message])
            }
        }
    }

    @Test(arguments: [(UInt8(0x40), true), (0x08, true), (0x48, true), (0x44, false), (0x80, false), (0x20, false)])
    func `an address is tentative by its flags`(flags: UInt8, expected: Bool) throws {
        let address = try SocketAddress(ipAddress: "2001:db8::1", port: 0)
        var bytes = Self.message(20, structure: [10, 64, flags, 0] + Self.host(3), [(1, address.octets)])
        let tentative = TentativeAddresses([try #require(NetlinkMessage(readingFrom: &bytes))])
        #expect(tentative.contains(address) == expected)
        #expect(!tentative.contains(try SocketAddress(ipAddress: "2001:db8::2", port: 0)))
    }
}
