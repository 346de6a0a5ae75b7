import LibC
package import NIOCore
import UDP

/// Questions about one address of this machine.
package enum LocalAddress {
    /// Whether this machine has `address`, whatever its port, so that packets can be sent from it.
    ///
    /// Asks the kernel by binding a socket to it: addresses of routes of type "local", of interfaces that are down and
    /// link-local ones count as well, which no list of interfaces tells. When it cannot be asked, the answer is yes.
    package static func isAssigned(_ address: SocketAddress) -> Bool {
        guard address.protocol == .inet || address.protocol == .inet6 else { return true }
        var address = address
        address.port = 0
        let descriptor = DatagramKernel.open(address.protocol)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        let result = address.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
        return result == 0 || errno != EADDRNOTAVAIL
    }
}
