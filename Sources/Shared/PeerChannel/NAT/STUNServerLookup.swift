import NIOCore
import NIOPosix
import UDP

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Finds the addresses of STUN servers, off the event loop.
enum STUNServerLookup {
    /// The addresses of `servers` in order, both families of each, without those that cannot be resolved.
    static func resolve(
        _ servers: [PeerChannelConfiguration.STUNServerAddress], on eventLoop: any EventLoop
    ) -> EventLoopFuture<[SocketAddress]> {
        let literals = servers.map { try? SocketAddress(ipAddress: $0.host, port: Int($0.port)) }
        if literals.allSatisfy({ $0 != nil }) {
            return eventLoop.makeSucceededFuture(literals.compactMap { $0 })
        }
        return NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            servers.flatMap { self.blockingLookup(host: $0.host, port: $0.port) }
        }
    }

    /// Empty when the name cannot be resolved: a path may be found without it.
    private static func blockingLookup(host: String, port: UInt16) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_DGRAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0 else {
            return []
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ai_next
            if let address = SocketAddress(raw: entry.ai_addr) {
                addresses.append(address)
            }
        }
        return addresses
    }
}
