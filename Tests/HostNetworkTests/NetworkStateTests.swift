import Foundation
import NIOCore
import Testing

@testable import HostNetwork

/// What is made of what the kernel says of this machine.
struct NetworkStateTests {
    @Test func `addresses without carrier, link-local and tentative ones are left out`() throws {
        func address(_ ip: String, isUp: Bool = true, isRunning: Bool = true) throws -> InterfaceAddress {
            InterfaceAddress(
                interface: "eth0", address: try SocketAddress(ipAddress: ip, port: 0), isUp: isUp,
                isRunning: isRunning, isLoopback: false)
        }
        let tentative = try address("2001:db8::3")
        let usable = NetworkState.usable(
            [
                try address("192.0.2.1"), try address("192.0.2.2", isUp: false),
                try address("192.0.2.3", isRunning: false),
                try address("fe80::1"), try address("2001:db8::1"), tentative,
                try address("127.0.0.1"),
            ], isTentative: { $0 == tentative.address })
        #expect(Set(usable.map(\.address.ipAddress)) == ["192.0.2.1", "2001:db8::1", "127.0.0.1"])
    }

    @Test func `the kernel says where it sends packets`() throws {
        let loopback = try #require(NetworkRoute.lookup(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1)))
        #expect(loopback == NetworkRoute(interfaceIndex: if_nametoindex("lo"), gateway: nil))
        let unix = try SocketAddress(unixDomainSocketPath: "/x")
        #expect(NetworkRoute.lookup(to: unix) == nil)
    }

    @Test func `this machine has a state`() throws {
        let state = try NetworkState.current()
        #expect(state.addresses.contains { $0.address.ipAddress == "127.0.0.1" && $0.interface == "lo" })
        #expect(try NetworkState.current() == state)
    }
}
