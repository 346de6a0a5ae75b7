import HostNetwork
import ICE
import Logging
import NIOCore
import UDP

extension DirectSession {
    /// More sockets than this are of no use: `--p2p-interface` opens one per address.
    static let maximumSockets = 8
    /// A machine with more addresses offers the first of them.
    private static let maximumHostCandidates = 32

    /// Opens the sockets that the configuration and this machine's addresses call for.
    ///
    /// Fails with `PeerChannelError.noLocalAddress` or `.noSocket`. The future is the event loop's.
    ///
    /// - Parameter peerAnswersPadding: asked when the peer has answered.
    static func open(
        generation: UInt32, role: ICERole, configuration: PeerChannelConfiguration, eventLoop: any EventLoop,
        logger: Logger, peerAnswersPadding: @escaping () -> Bool
    ) -> EventLoopFuture<NIOLoopBound<DirectSession>> {
        let addresses: [InterfaceAddress]
        do {
            addresses = InterfaceAddress.usable(
                from: try InterfaceAddress.all(), interfaces: configuration.interfaces,
                loopbackOnly: configuration.loopbackOnly)
        } catch {
            return eventLoop.makeFailedFuture(PeerChannelError.noSocket("\(error)"))
        }
        guard !addresses.isEmpty else {
            return eventLoop.makeFailedFuture(
                PeerChannelError.noLocalAddress(
                    interfaces: configuration.loopbackOnly ? [] : configuration.interfaces))
        }
        let isBoundToAddresses = configuration.loopbackOnly || !configuration.interfaces.isEmpty
        let plan = self.sockets(for: addresses, boundToAddresses: isBoundToAddresses).prefix(self.maximumSockets)
        let binds = plan.map { UDPSocket.bind(to: $0, eventLoop: eventLoop) }
        return EventLoopFuture.whenAllComplete(binds, on: eventLoop).assumeIsolated().flatMapThrowing { results in
            let sockets = results.compactMap { try? $0.get().value }
            guard !sockets.isEmpty else {
                throw PeerChannelError.noSocket(results.compactMap(\.failureText).joined(separator: ", "))
            }
            let session = DirectSession(
                generation: generation, sockets: sockets,
                hosts: self.hostCandidates(of: sockets, addresses: addresses), role: role,
                configuration: configuration, eventLoop: eventLoop, logger: logger,
                peerAnswersPadding: peerAnswersPadding)
            return NIOLoopBound(session, eventLoop: eventLoop)
        }.nonisolated()
    }

    /// The addresses to bind: one wildcard per family that has an address, or each address by itself.
    static func sockets(for addresses: [InterfaceAddress], boundToAddresses: Bool) -> [SocketAddress] {
        if boundToAddresses {
            return addresses.map(\.address)
        }
        let families = Set(addresses.map(\.address.protocol))
        return [(NIOBSDSocket.ProtocolFamily.inet6, "::"), (.inet, "0.0.0.0")]
            .filter { families.contains($0.0) }
            .compactMap { try? SocketAddress(ipAddress: $0.1, port: 0) }
    }

    /// What each socket can be reached at on this machine's networks.
    static func hostCandidates(of sockets: [UDPSocket], addresses: [InterfaceAddress]) -> [ICECandidate] {
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
