import LibC
import NIOCore

/// What the kernel knows of a TCP connection.
enum TCPKernel {
    /// Bytes that were written and that the other end's kernel has not acknowledged; FIN counts as one. 0 when it cannot be asked.
    static func unacknowledgedBytes(descriptor: CInt) -> Int {
        var queued: CInt = 0
        // SIOCOUTQ (tcp(7)), which Linux gives the number of TIOCOUTQ.
        return ioctl(descriptor, UInt(TIOCOUTQ), &queued) == 0 ? Int(queued) : 0
    }

    /// By `TCP_INFO` of tcp(7); nil when it cannot be asked.
    static func acknowledgements(descriptor: CInt) -> TCPAcknowledgements? {
        var info = tcp_info()
        var length = socklen_t(MemoryLayout<tcp_info>.size)
        guard getsockopt(descriptor, CInt(IPPROTO_TCP), TCP_INFO, &info, &length) == 0 else { return nil }
        return TCPAcknowledgements(
            unacknowledgedSegments: Int(info.tcpi_unacked), unansweredProbes: Int(info.tcpi_probes),
            sinceLast: .milliseconds(Int64(info.tcpi_last_ack_recv)))
    }
}
