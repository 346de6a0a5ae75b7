import HostNetwork
import ICE
import NIOCore
import UDP

/// The sockets that paths to peers, and questions to STUN servers, leave from, and where they can be reached.
struct LocalSockets {
    /// More sockets than this are of no use: `--p2p-interface` opens one per address.
    private static let maximumSockets = 8
    /// A machine with more addresses offers the first of them.
    private static let maximumHostCandidates = 32

    /// The addresses that may be used, port 0.
    let addresses: [InterfaceAddress]
    let sockets: [UDPSocket]
    /// The base of each is the index of its socket.
    let hosts: [ICECandidate]

    /// Opens what this machine's addresses call for.
    ///
    /// Fails with `PeerChannelError.noLocalAddress` or `.noSocket`. The future is the event loop's.
    ///
    /// - Parameters:
    ///   - interfaces: as in `PeerChannelConfiguration`.
    ///   - loopbackOnly: as there.
    static func open(
        interfaces: [String], loopbackOnly: Bool, options: DatagramSocketOptions = .path, eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<LocalSockets>> {
        let addresses: [InterfaceAddress]
        do {
            addresses = InterfaceAddress.usable(
                from: try InterfaceAddress.all(), interfaces: interfaces, loopbackOnly: loopbackOnly)
        } catch {
            return eventLoop.makeFailedFuture(PeerChannelError.noSocket("\(error)"))
        }
        guard !addresses.isEmpty else {
            return eventLoop.makeFailedFuture(
                PeerChannelError.noLocalAddress(interfaces: loopbackOnly ? [] : interfaces))
        }
        let isBoundToAddresses = loopbackOnly || !interfaces.isEmpty
        let plan = self.binds(for: addresses, boundToAddresses: isBoundToAddresses).prefix(self.maximumSockets)
        let binds = plan.map { UDPSocket.bind(to: $0, options: options, eventLoop: eventLoop) }
        return EventLoopFuture.whenAllComplete(binds, on: eventLoop).flatMapThrowing { results in
            let sockets = results.compactMap { try? $0.get().value }
            guard !sockets.isEmpty else {
                throw PeerChannelError.noSocket(results.compactMap(\.failureText).joined(separator: ", "))
            }
            let local = LocalSockets(
                addresses: addresses, sockets: sockets, hosts: self.hostCandidates(of: sockets, addresses: addresses))
            return NIOLoopBound(local, eventLoop: eventLoop)
        }
    }

    /// The addresses to bind: one wildcard per family that has an address, or each address by itself.
    static func binds(for addresses: [InterfaceAddress], boundToAddresses: Bool) -> [SocketAddress] {
        if boundToAddresses {
            return addresses.map(\.address)
        }
        let families = Set(addresses.map(\.address.protocol))
        return [(NIOBSDSocket.ProtocolFamily.inet6, "::"), (.inet, "0.0.0.0")]
            .filter { families.contains($0.0) }
            .compactMap { try? SocketAddress(ipAddress: $0.1, port: 0) }
    }

    /// What each socket can be reached at on this machine's networks.
    private static func hostCandidates(of sockets: [UDPSocket], addresses: [InterfaceAddress]) -> [ICECandidate] {
        var ranks: [String: Int] = [:]
        var candidates: [ICECandidate] = []
        for address in addresses.prefix(self.maximumHostCandidates) {
            let rank = ranks[address.interface] ?? ranks.count
            ranks[address.interface] = rank
            let owner = sockets.firstIndex { $0.serves(address.address) }
            guard let owner, let port = sockets[owner].localAddress.port else {
                continue
            }
            var host = address.address
            host.port = port
            candidates.append(.host(address: host, base: LocalBaseID(owner), interfaceIndex: rank))
        }
        return candidates
    }
}

extension UDPSocket {
    /// Whether datagrams for `address` (whatever its port) arrive here.
    fileprivate func serves(_ address: SocketAddress) -> Bool {
        guard self.localAddress.protocol == address.protocol else {
            return false
        }
        return self.localAddress.ipAddress == address.ipAddress
            || ["0.0.0.0", "::"].contains(self.localAddress.ipAddress)
    }
}

extension Result {
    fileprivate var failureText: String? {
        if case .failure(let error) = self { "\(error)" } else { nil }
    }
}
