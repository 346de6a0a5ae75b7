import LibC
package import NIOCore

/// Sends datagrams by system call, past NIO's write queue.
///
/// A `DatagramChannel` closes itself when a write fails with most errors (`PendingDatagramWritesManager` knows only
/// EMSGSIZE and EHOSTUNREACH as passing). Looking for a path means to send to addresses that may have no route
/// (ENETUNREACH), be forbidden (EPERM) or be nonsense (EINVAL): none of them may cost the socket.
package enum UDPDatagram {
    /// Linux takes at most this many segments in one call (`UDP_MAX_SEGMENTS` of older kernels).
    package static let maximumSegments = 64

    /// Sends `bytes` as one datagram, or with `segmentSize` as several of that size of which the last may be shorter
    /// (UDP generic segmentation offload).
    ///
    /// - Parameters:
    ///   - source: which of this machine's addresses it leaves from, where the socket has several; nil for the kernel's
    ///     choice. Its port is of no importance.
    ///   - destination: nil on a connected socket.
    /// - Returns: 0, or the error number of `sendmsg`.
    package static func send(
        _ bytes: UnsafeRawBufferPointer, segmentSize: UInt16?, from source: SocketAddress? = nil,
        to destination: SocketAddress?, descriptor: CInt
    ) -> CInt {
        guard let destination else {
            return self.send(
                bytes, segmentSize: segmentSize, from: source, name: nil, nameLength: 0, descriptor: descriptor)
        }
        return destination.withSockAddr { address, length in
            self.send(
                bytes, segmentSize: segmentSize, from: source, name: address, nameLength: length,
                descriptor: descriptor)
        }
    }

    private static func send(
        _ bytes: UnsafeRawBufferPointer, segmentSize: UInt16?, from source: SocketAddress?,
        name: UnsafePointer<sockaddr>?, nameLength: Int, descriptor: CInt
    ) -> CInt {
        var vector = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        return withUnsafeMutablePointer(to: &vector) { vector in
            var message = msghdr()
            message.msg_name = UnsafeMutableRawPointer(mutating: name)
            message.msg_namelen = socklen_t(nameLength)
            message.msg_iov = vector
            message.msg_iovlen = 1
            guard segmentSize != nil || source != nil else {
                return self.send(&message, descriptor: descriptor)
            }
            return withUnsafeTemporaryAllocation(
                byteCount: ControlMessages.capacity, alignment: MemoryLayout<cmsghdr>.alignment
            ) { memory in
                var control = ControlMessages(memory)
                if let segmentSize { control.add(segmentSize: segmentSize) }
                if let source { control.add(source: source) }
                message.msg_control = memory.baseAddress
                message.msg_controllen = .init(control.length)
                return self.send(&message, descriptor: descriptor)
            }
        }
    }

    private static func send(_ message: inout msghdr, descriptor: CInt) -> CInt {
        while true {
            if sendmsg(descriptor, &message, 0) >= 0 {
                return 0
            }
            if errno != EINTR {
                return errno
            }
        }
    }
}
