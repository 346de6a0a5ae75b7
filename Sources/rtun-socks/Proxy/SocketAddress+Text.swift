import CommandSupport
import NIOCore

extension SocketAddress {
    /// `ip:port`, an IPv6 address in brackets.
    var text: String {
        HostPort(host: self.ipAddress ?? "unknown", port: UInt16(clamping: self.port ?? 0)).description
    }

    /// Whether only this machine can reach the address (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3).
    var isOnThisMachineOnly: Bool {
        switch self {
        case .v4(let address):
            UInt32(bigEndian: address.address.sin_addr.s_addr) >> 24 == 127
        case .v6(let address):
            withUnsafeBytes(of: address.address.sin6_addr) { $0.dropLast().allSatisfy { $0 == 0 } && $0.last == 1 }
        case .unixDomainSocket:
            true
        }
    }
}
