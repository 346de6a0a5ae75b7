import NIOCore

/// The way that the kernel sends packets for some address: out of which interface, and to which router.
///
/// Not from which address: which of several temporary addresses (RFC 8981) is used changes every day, and is of no
/// importance to connections that have theirs.
package struct NetworkRoute: Hashable, Sendable {
    /// As in `ip link`.
    package let interfaceIndex: UInt32
    /// The router's address, 4 or 16 octets; nil when the destination is on the interface's own network.
    package let gateway: [UInt8]?

    package init(interfaceIndex: UInt32, gateway: [UInt8]?) {
        self.interfaceIndex = interfaceIndex
        self.gateway = gateway
    }
}

extension SocketAddress {
    /// 4 or 16 octets; none for a Unix-domain address.
    var octets: [UInt8] {
        switch self {
        case .v4(let v4): withUnsafeBytes(of: v4.address.sin_addr) { Array($0) }
        case .v6(let v6): withUnsafeBytes(of: v6.address.sin6_addr) { Array($0) }
        case .unixDomainSocket: []
        }
    }
}
