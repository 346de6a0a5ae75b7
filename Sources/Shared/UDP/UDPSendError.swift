import LibC

/// The kernel's refusal to send a datagram, for reports.
package struct UDPSendError: Error, Hashable, CustomStringConvertible {
    package let errorNumber: CInt

    package init(errorNumber: CInt) { self.errorNumber = errorNumber }

    /// `network is unreachable`
    package var description: String {
        strerror(self.errorNumber).map { String(cString: $0).lowercased() } ?? "error \(self.errorNumber)"
    }
}
