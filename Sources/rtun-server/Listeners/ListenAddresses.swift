import CommandSupport
import NIOCore

/// The addresses that one `--addr` stands for.
struct ListenAddresses: Equatable, Sendable {
    /// The first one decides on the port when it is 0.
    let addresses: [SocketAddress]

    /// An IPv6 wildcard means both families, with a socket each, so that IPv4 peers are seen under their IPv4 address.
    ///
    /// - Throws: ``ProgramError`` with exit code 69 for a name that cannot be resolved.
    init(_ hostPort: HostPort) throws(ProgramError) {
        let first: SocketAddress
        do {
            first = try SocketAddress.makeAddressResolvingHost(hostPort.host, port: Int(hostPort.port))
        } catch {
            throw ProgramError(.unavailable, "cannot listen on \(hostPort): the host name cannot be resolved")
        }
        let isWildcard = first.ipAddress == "::"
        let fourth = isWildcard ? try? SocketAddress(ipAddress: "0.0.0.0", port: Int(hostPort.port)) : nil
        self.addresses = [first] + (fourth.map { [$0] } ?? [])
    }

    private init(addresses: [SocketAddress]) {
        self.addresses = addresses
    }

    /// Whether the system is to choose the port.
    var hasFreePort: Bool { self.addresses.contains { $0.port == 0 } }

    /// The same addresses with this port.
    func with(port: Int) -> ListenAddresses {
        ListenAddresses(
            addresses: self.addresses.map { address in
                var address = address
                address.port = port
                return address
            })
    }
}
