import CPortable
import LibC
package import NIOCore

/// Something that any thread can make readable, to end another one's wait for it: a pipe.
package struct WakeDescriptor: Sendable {
    /// What to wait for.
    package let readable: CInt
    private let writable: CInt

    /// Throws `IOError`.
    package init() throws(IOError) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw IOError(errnoCode: errno, reason: "pipe") }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        // Whoever has taken the other end may have closed it.
        CPortable_no_sigpipe(ends[1])
        self.readable = ends[0]
        self.writable = ends[1]
    }

    /// Makes it readable.
    package func wake() {
        var one: UInt8 = 1
        // A pipe that is full is readable.
        _ = write(self.writable, &one, 1)
    }

    /// Has been waited for: it is readable no more.
    package func drain() {
        var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let size = MemoryLayout.size(ofValue: bytes)
        while read(self.readable, &bytes, size) == size {}
    }

    /// Not if somebody else has taken ``readable``.
    package func close() {
        closeDescriptor(self.readable)
        closeDescriptor(self.writable)
    }
}
