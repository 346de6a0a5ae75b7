import CLinuxUDP
import LibC
package import NIOCore

/// Something that any thread can make readable, to end another one's wait for it: an eventfd(2).
package struct WakeDescriptor: Sendable {
    /// What to wait for.
    package let readable: CInt

    /// Throws `IOError`.
    package init() throws(IOError) {
        self.readable = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        guard self.readable >= 0 else { throw IOError(errnoCode: errno, reason: "eventfd") }
    }

    /// Makes it readable.
    package func wake() {
        var one: UInt64 = 1
        _ = write(self.readable, &one, MemoryLayout<UInt64>.size)
    }

    /// Has been waited for: it is readable no more.
    package func drain() {
        var count: UInt64 = 0
        _ = read(self.readable, &count, MemoryLayout<UInt64>.size)
    }

    /// Not if somebody else has taken ``readable``.
    package func close() { closeDescriptor(self.readable) }
}
