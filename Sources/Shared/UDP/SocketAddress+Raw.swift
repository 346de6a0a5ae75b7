package import LibC
package import NIOCore

extension SocketAddress {
    /// What a C function left behind `pointer`; nil for nil and for families other than IPv4 and IPv6.
    package init?(raw pointer: UnsafeMutablePointer<sockaddr>?) {
        guard let raw = UnsafeRawPointer(pointer) else {
            return nil
        }
        switch CInt(raw.loadUnaligned(as: sockaddr.self).sa_family) {
        case AF_INET: self.init(raw.loadUnaligned(as: sockaddr_in.self))
        case AF_INET6: self.init(raw.loadUnaligned(as: sockaddr_in6.self))
        default: return nil
        }
    }

    /// The address that a socket is bound to; nil when it has none, or is none.
    package init?(localAddressOf descriptor: CInt) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let address = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                getsockname(descriptor, address, &length) == 0 ? SocketAddress(raw: address) : nil
            }
        }
        guard let address else { return nil }
        self = address
    }
}
