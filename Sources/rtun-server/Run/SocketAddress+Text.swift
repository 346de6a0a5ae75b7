import CommandSupport
import NIOCore

extension SocketAddress {
    /// `ip:port`, an IPv6 address in brackets.
    var text: String {
        HostPort(host: self.ipAddress ?? "unknown", port: UInt16(clamping: self.port ?? 0)).description
    }
}
