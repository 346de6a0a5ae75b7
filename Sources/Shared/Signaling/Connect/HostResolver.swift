package import NIOCore
import NIOPosix

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Turns a host into addresses, off the event loop.
package enum HostResolver {
    /// The addresses of `host` for UDP, the system's preference first (RFC 6724), families taking turns (RFC 8305
    /// section 4). Fails with `SignalConnectError.unresolved`.
    package static func resolve(
        host: String, port: UInt16, on eventLoop: any EventLoop
    ) -> EventLoopFuture<[SocketAddress]> {
        if let literal = try? SocketAddress(ipAddress: host, port: Int(port)) {
            return eventLoop.makeSucceededFuture([literal])
        }
        return NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            takingTurns(try blockingLookup(host: host, port: port))
        }
    }

    private static func blockingLookup(host: String, port: UInt16) throws(SignalConnectError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &list)
        guard status == 0 else {
            throw .unresolved(host: host, reason: String(cString: gai_strerror(status)).lowercased())
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = self.address(of: entry) {
                addresses.append(address)
            }
            next = entry.ai_next
        }
        guard !addresses.isEmpty else {
            throw .unresolved(host: host, reason: "it has neither an IPv4 nor an IPv6 address")
        }
        return addresses
    }

    private static func address(of entry: addrinfo) -> SocketAddress? {
        guard let pointer = UnsafeRawPointer(entry.ai_addr) else { return nil }
        switch entry.ai_family {
        case AF_INET where entry.ai_addrlen >= MemoryLayout<sockaddr_in>.size:
            return SocketAddress(pointer.loadUnaligned(as: sockaddr_in.self))
        case AF_INET6 where entry.ai_addrlen >= MemoryLayout<sockaddr_in6>.size:
            return SocketAddress(pointer.loadUnaligned(as: sockaddr_in6.self))
        default:
            return nil
        }
    }

    /// Keeps the order within a family, starts with the family of the first address, and alternates.
    static func takingTurns(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard let family = addresses.first?.protocol else { return [] }
        let preferred = addresses.filter { $0.protocol == family }
        let others = addresses.filter { $0.protocol != family }
        var result: [SocketAddress] = []
        for index in 0..<max(preferred.count, others.count) {
            if index < preferred.count { result.append(preferred[index]) }
            if index < others.count { result.append(others[index]) }
        }
        return result
    }
}
