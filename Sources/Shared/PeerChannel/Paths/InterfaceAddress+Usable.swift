import HostNetwork
import STUN

extension InterfaceAddress {
    /// Those that become host candidates (RFC 8445 §5.1.1.1), IPv6 first on each interface.
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
