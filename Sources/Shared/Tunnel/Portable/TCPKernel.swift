import CPortable
import LibC

/// What the kernel knows of a TCP connection.
enum TCPKernel {
    /// Bytes that were written and that the other end's kernel has not acknowledged. 0 when it cannot be asked.
    static func unacknowledgedBytes(descriptor: CInt) -> Int {
        max(0, Int(CPortable_unacknowledged_bytes(descriptor)))
    }

    /// Nil: nobody but Linux says when the last one came. A connection whose other end has vanished with data on its way to it ends
    /// when the kernel has repeated that often enough, after some minutes.
    static func acknowledgements(descriptor: CInt) -> TCPAcknowledgements? { nil }
}
