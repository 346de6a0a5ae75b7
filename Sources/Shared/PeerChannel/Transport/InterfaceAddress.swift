import NIOCore
import STUN
import UDP

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// One address of one network interface of this machine.
struct InterfaceAddress: Hashable {
    let interface: String
    /// Port 0.
    let address: SocketAddress
    let isUp: Bool
    let isLoopback: Bool
}

extension InterfaceAddress {
    /// What the machine has now, in the kernel's order of interfaces. Throws `IOError`.
    ///
    /// Not NIO's `System.enumerateDevices`, which does not tell whether a device is up.
    static func all() throws -> [InterfaceAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else {
            throw IOError(errnoCode: errno, reason: "getifaddrs")
        }
        defer { freeifaddrs(list) }
        var result: [InterfaceAddress] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let name = entry.ifa_name, let address = SocketAddress(raw: entry.ifa_addr) else {
                continue
            }
            result.append(
                InterfaceAddress(
                    interface: String(cString: name), address: address,
                    isUp: entry.ifa_flags & UInt32(IFF_UP) != 0,
                    isLoopback: entry.ifa_flags & UInt32(IFF_LOOPBACK) != 0))
        }
        return result
    }

    /// Those that become host candidates (RFC 8445 section 5.1.1.1), IPv6 first on each interface.
    ///
    /// - Loopback is for the case that everything is on one machine, and for that alone.
    /// - IPv6 link-local addresses are left out: they mean nothing without a scope id, which only this machine knows;
    ///   peers on one link that have nothing but link-local addresses have no way to the rtun server either.
    /// - IPv4-mapped and unspecified addresses are nobody's.
    static func usable(
        from addresses: [InterfaceAddress], interfaces: [String], loopbackOnly: Bool
    ) -> [InterfaceAddress] {
        var seen = Set<TransportAddress>()
        return addresses.filter { candidate in
            guard candidate.isUp, let address = TransportAddress(candidate.address), !address.isUnspecified,
                !address.isIPv6LinkLocal
            else {
                return false
            }
            if loopbackOnly {
                // 127.0.0.1 and ::1, not whatever else was put on the loopback interface.
                return address.isLoopback && candidate.isLoopback && seen.insert(address).inserted
            }
            return !candidate.isLoopback && !address.isLoopback
                && (interfaces.isEmpty || interfaces.contains(candidate.interface))
                && seen.insert(address).inserted
        }
    }
}
