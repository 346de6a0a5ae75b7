import CPortable
import LibC
package import NIOCore

/// What the system's UDP sockets can do.
package enum DatagramKernel {
    /// A new UDP socket that no child process inherits; returns -1 with `errno` set when there is none.
    package static func open(_ family: NIOBSDSocket.ProtocolFamily, isBlocking: Bool = true) -> CInt {
        let descriptor = socket(CInt(family.rawValue), SocketKind.datagram, 0)
        guard descriptor >= 0 else { return -1 }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        if !isBlocking { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
        return descriptor
    }

    /// Whether a connected socket's error is what the network has reported (ICMP) of an earlier datagram; it may also be the
    /// kernel's own word.
    static func isReport(_ error: CInt) -> Bool {
        switch error {
        case ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, EPROTO, ENOPROTOOPT, EOPNOTSUPP, EACCES, EMSGSIZE: true
        default: false
        }
    }

    /// How many of `bytes` may be asked for as a buffer. BSD refuses more than it can give (`ENOBUFS`), so this tries it with a
    /// socket of its own, halving.
    static func acceptableBufferSize(_ bytes: Int) -> Int {
        let descriptor = self.open(.inet)
        guard descriptor >= 0 else { return self.smallestBuffer }
        defer { closeDescriptor(descriptor) }
        var size = CInt(clamping: bytes)
        while size > self.smallestBuffer {
            let results = [SO_RCVBUF, SO_SNDBUF].map {
                setsockopt(descriptor, SOL_SOCKET, $0, &size, socklen_t(MemoryLayout<CInt>.size))
            }
            if results == [0, 0] { return Int(size) }
            size /= 2
        }
        return min(bytes, self.smallestBuffer)
    }

    /// What every system gives.
    private static let smallestBuffer = 64 << 10

    /// There is no way past the system's limit.
    static func forceBufferSize(_ size: Int, descriptor: CInt) {}

    /// The owner finds out the path's MTU itself (RFC 9000 §14.3): never fragment.
    static func leaveMTUToOwner(descriptor: CInt, family: NIOBSDSocket.ProtocolFamily) {
        // Where that cannot be had, discovery ends at what the kernel fragments to: slower, not wrong.
        CPortable_never_fragment(descriptor, family == .inet6 ? 1 : 0)
    }

    /// Largest IP packet of the interface that a connected socket uses. Nil when the kernel does not say.
    static func routeMTU(descriptor: CInt, family: NIOBSDSocket.ProtocolFamily) -> Int? {
        guard let local = SocketAddress(localAddressOf: descriptor), let name = NetworkInterface.name(having: local)
        else {
            return nil
        }
        let value = CPortable_interface_mtu(name)
        return value > 0 ? Int(value) : nil
    }
}

extension SegmentationOffload {
    /// Whether the kernel splits what is sent.
    package static let isSupported = false
    /// Whether it puts together what is received.
    package static let isSupportedForReceiving = false

    /// Has the kernel put together what `descriptor` receives: nowhere but on Linux.
    static func turnOnReceiving(descriptor: CInt) {}
}
