import OperatingSystem

/// The kernel's refusal to send a datagram, for reports.
package struct UDPSendError: Error, Hashable, CustomStringConvertible {
    package let errorNumber: CInt

    package init(errorNumber: CInt) { self.errorNumber = errorNumber }

    /// `network is unreachable`
    package var description: String { SystemError.text(self.errorNumber) }
}
