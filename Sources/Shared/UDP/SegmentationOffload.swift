import LibC
import NIOCore

/// Whether a socket has the kernel split what it sends (UDP GSO), which some devices and routes refuse, also in mid-life.
package struct SegmentationOffload {
    /// So many refusals in a row of what is taken singly, and it is not tried again.
    private static let maximumRefusals = 3

    package private(set) var isOn = Self.isSupported
    private var refusals = 0

    package init() {}

    /// The kernel has taken a batch.
    package mutating func accepted() { self.refusals = 0 }

    /// The kernel has refused a batch with this error number.
    ///
    /// - Parameter areTakenSingly: whether it took the same datagrams one by one.
    package mutating func refused(_ error: CInt, areTakenSingly: Bool) {
        guard areTakenSingly else { return }
        self.refusals += 1
        // EIO: the device cannot compute checksums of segments.
        if error == EIO || self.refusals >= Self.maximumRefusals { self.isOn = false }
    }
}
