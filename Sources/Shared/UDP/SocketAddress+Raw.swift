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
}
