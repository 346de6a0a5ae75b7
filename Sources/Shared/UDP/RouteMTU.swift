import LibC
package import NIOCore

/// What the kernel knows of the way to an address.
package enum RouteMTU {
    /// The largest IP packet that the route to `remote` carries, in bytes: the interface's MTU, or less where the network
    /// said so and the kernel tells. Nil when there is no route.
    ///
    /// - Parameter local: where packets leave from; its port is of no importance.
    package static func bytes(to remote: SocketAddress, from local: SocketAddress) -> Int? {
        let descriptor = DatagramKernel.open(remote.protocol)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var source = local
        source.port = 0
        // Connecting a UDP socket sends nothing.
        guard source.withSockAddr({ bind(descriptor, $0, socklen_t($1)) }) == 0,
            remote.withSockAddr({ connect(descriptor, $0, socklen_t($1)) }) == 0
        else { return nil }
        return DatagramKernel.routeMTU(descriptor: descriptor, family: remote.protocol)
    }

    /// Bytes of a packet to `remote` that are not UDP payload: the IP header without options and the UDP header
    /// (RFC 791, RFC 8200, RFC 768).
    package static func headerBytes(to remote: SocketAddress) -> Int {
        remote.protocol == .inet6 ? 40 + 8 : 20 + 8
    }
}
