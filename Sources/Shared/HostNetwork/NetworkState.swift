package import NIOCore

/// Where this machine is in the network: its usable addresses, and where its packets to the internet leave.
package struct NetworkState: Hashable, Sendable {
    /// One address of an interface.
    package struct Address: Hashable, Sendable {
        package let interface: String
        /// Port 0.
        package let address: SocketAddress

        package init(interface: String, address: SocketAddress) {
            self.interface = interface
            self.address = address
        }
    }

    /// Those that datagrams can be sent from and reach: of interfaces that are up and have a carrier, loopback's too.
    /// Without IPv6 link-local addresses, which every interface has, and those that are still tentative, where the kernel says
    /// so.
    package var addresses: Set<Address>
    /// The routes to places far away, where there are any: the default routes, whatever they are made of.
    package var internetRoutes: Set<NetworkRoute>

    package init(addresses: Set<Address> = [], internetRoutes: Set<NetworkRoute> = []) {
        self.addresses = addresses
        self.internetRoutes = internetRoutes
    }
}

extension NetworkState {
    /// Some addresses far away, which nothing is sent to: of the root name server K.
    static let distantAddresses = ["193.0.14.129", "2001:7fd::1"].compactMap {
        try? SocketAddress(ipAddress: $0, port: 53)
    }

    /// - Parameter isTentative: whether an address cannot be used yet.
    static func usable(
        _ addresses: [InterfaceAddress], isTentative: (SocketAddress) -> Bool = { _ in false }
    ) -> Set<Address> {
        Set(
            addresses.filter {
                $0.isUp && $0.isRunning && !$0.address.isIPv6LinkLocal && !isTentative($0.address)
            }.map { Address(interface: $0.interface, address: $0.address) })
    }
}

extension SocketAddress {
    /// fe80::/10 (RFC 4291 §2.5.6)
    fileprivate var isIPv6LinkLocal: Bool {
        let octets = self.octets
        return octets.count == 16 && octets[0] == 0xFE && octets[1] & 0xC0 == 0x80
    }
}
