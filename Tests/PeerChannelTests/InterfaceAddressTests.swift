import HostNetwork
import NIOCore
import Testing

@testable import PeerChannel

struct InterfaceAddressTests {
    private static func address(
        _ interface: String, _ ip: String, isUp: Bool = true, isLoopback: Bool = false
    ) throws -> InterfaceAddress {
        InterfaceAddress(
            interface: interface, address: try SocketAddress(ipAddress: ip, port: 0), isUp: isUp,
            isLoopback: isLoopback)
    }

    private static func machine() throws -> [InterfaceAddress] {
        [
            try address("lo", "127.0.0.1", isLoopback: true),
            try address("lo", "::1", isLoopback: true),
            try address("lo", "10.9.9.9", isLoopback: true),
            try address("eth0", "192.168.1.2"),
            try address("eth0", "2001:db8::2"),
            try address("eth0", "fe80::1"),
            try address("wlan0", "10.0.0.7"),
            try address("wlan0", "10.0.0.7"),
            try address("eth1", "172.16.0.1", isUp: false),
        ]
    }

    private func usable(_ interfaces: [String] = [], loopbackOnly: Bool = false) throws -> [String] {
        InterfaceAddress.usable(from: try Self.machine(), interfaces: interfaces, loopbackOnly: loopbackOnly)
            .compactMap(\.address.ipAddress)
    }

    @Test func `addresses of interfaces that are up are used, loopback and link-local ones are not`() throws {
        #expect(try self.usable() == ["192.168.1.2", "2001:db8::2", "10.0.0.7"])
    }

    @Test func `only loopback is used when everything is on one machine`() throws {
        #expect(try self.usable(loopbackOnly: true) == ["127.0.0.1", "::1"])
        #expect(try self.usable(["wlan0"], loopbackOnly: true) == ["127.0.0.1", "::1"])
    }

    @Test func `only named interfaces are used, and loopback cannot be named`() throws {
        #expect(try self.usable(["wlan0"]) == ["10.0.0.7"])
        #expect(try self.usable(["eth1", "lo", "none"]).isEmpty)
    }

    @Test func `one wildcard socket serves a family, and named interfaces get a socket per address`() throws {
        let addresses = InterfaceAddress.usable(from: try Self.machine(), interfaces: [], loopbackOnly: false)
        #expect(
            LocalSockets.binds(for: addresses, boundToAddresses: false).compactMap(\.ipAddress) == ["::", "0.0.0.0"])
        #expect(
            LocalSockets.binds(for: addresses, boundToAddresses: true).compactMap(\.ipAddress)
                == ["192.168.1.2", "2001:db8::2", "10.0.0.7"])
        let onlyIPv4 = addresses.filter { $0.address.protocol == .inet }
        #expect(LocalSockets.binds(for: onlyIPv4, boundToAddresses: false).compactMap(\.ipAddress) == ["0.0.0.0"])
    }

    @Test func `the loopback interface of this machine is found`() throws {
        let loopback = try InterfaceAddress.all().first { $0.address.ipAddress == "127.0.0.1" }
        #expect(loopback?.isUp == true)
        #expect(loopback?.isLoopback == true)
    }
}
