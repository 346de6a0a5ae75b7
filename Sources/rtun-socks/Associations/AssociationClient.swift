import Basics
import NIOCore

/// Who may use the UDP relay of an association, and where that is: both follow from the client's connection. No I/O.
///
/// The relay is at the address that the client has reached the proxy by. The client is known by its address, and by the port
/// that it has named, or that its first datagram comes from; that is all the protection that SOCKS has here (RFC 1928 §7).
struct AssociationClient: Equatable {
    /// Where to bind the relay's socket, port 0.
    let relay: SocketAddress
    private let address: IPAddress
    /// Nil until its first datagram has come.
    private var port: UInt16?

    /// Nil when nothing would tell the client from others.
    ///
    /// - Parameters:
    ///   - remote: the client's end of its connection, and `local` ours.
    ///   - port: the one that the client has named.
    init?(remote: SocketAddress?, local: SocketAddress?, port: UInt16?) {
        guard let remote, let local else { return nil }
        if case .unixDomainSocket = local {
            // The client is on this machine, and so are others who may not use the socket. The kernel keeps them from sending
            // from a port that is the client's, so that one has to be named.
            guard port != nil else { return nil }
            let loopback = IPAddress(family: .v4, bits: 0x7F00_0001)
            guard let relay = loopback.socketAddress(port: 0) else { return nil }
            (self.relay, self.address) = (relay, loopback)
        } else {
            guard let client = IPAddress(remote)?.canonical, let ours = IPAddress(local) else { return nil }
            var relay = local
            // A socket for both families shows IPv4 addresses as IPv6 ones (RFC 4291 §2.5.5.2).
            if ours.canonical.family != ours.family {
                guard let unmapped = ours.canonical.socketAddress(port: 0) else { return nil }
                relay = unmapped
            }
            relay.port = 0
            (self.relay, self.address) = (relay, client)
        }
        self.port = port
    }

    /// Whether a datagram from there is the client's. The first one that is, and makes sense, settles the port: see ``settle(_:)``.
    func isSource(_ source: SocketAddress) -> Bool {
        guard let ip = IPAddress(source), ip.canonical == self.address else { return false }
        return self.port.map { source.port == Int($0) } ?? true
    }

    /// Only that port of the client is heard from now on.
    mutating func settle(_ source: SocketAddress) {
        self.port = self.port ?? source.port.flatMap(UInt16.init(exactly:))
    }
}
