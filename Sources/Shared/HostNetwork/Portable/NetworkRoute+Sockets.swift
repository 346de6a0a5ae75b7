import LibC
package import NIOCore
import UDP

extension NetworkRoute {
    /// The interface towards `address`; nil when there is no route. Nothing is sent.
    ///
    /// It is the one that has the address which a connected UDP socket is given. The router is not known.
    package static func lookup(to address: SocketAddress) -> NetworkRoute? {
        guard let source = self.source(towards: address), let name = NetworkInterface.name(having: source) else {
            return nil
        }
        let index = if_nametoindex(name)
        return index == 0 ? nil : NetworkRoute(interfaceIndex: index, gateway: nil)
    }

    /// The address that packets to `address` leave from.
    private static func source(towards address: SocketAddress) -> SocketAddress? {
        guard address.protocol == .inet || address.protocol == .inet6 else { return nil }
        let descriptor = DatagramKernel.open(address.protocol)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var destination = address
        // Nobody can be connected to port 0.
        if destination.port == 0 { destination.port = 9 }
        guard destination.withSockAddr({ connect(descriptor, $0, socklen_t($1)) }) == 0 else { return nil }
        return SocketAddress(localAddressOf: descriptor)
    }
}
