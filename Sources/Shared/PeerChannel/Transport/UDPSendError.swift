#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The kernel's refusal to send a datagram, for reports.
struct UDPSendError: Error, Hashable, CustomStringConvertible {
    let errorNumber: CInt

    /// `network is unreachable`
    var description: String {
        strerror(self.errorNumber).map { String(cString: $0).lowercased() } ?? "error \(self.errorNumber)"
    }
}
