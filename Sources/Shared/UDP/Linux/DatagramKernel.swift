import LibC
package import NIOCore
import NIOPosix

/// What the system's UDP sockets can do.
package enum DatagramKernel {
    /// A new UDP socket that no child process inherits; returns -1 with `errno` set when there is none.
    package static func open(_ family: NIOBSDSocket.ProtocolFamily, isBlocking: Bool = true) -> CInt {
        let flags = CInt(SOCK_CLOEXEC.rawValue) | (isBlocking ? 0 : CInt(SOCK_NONBLOCK.rawValue))
        return socket(CInt(family.rawValue), SocketKind.datagram | flags, 0)
    }

    /// Whether a connected socket's error is what the network has reported (ICMP) of an earlier datagram: what Linux makes of
    /// such messages (`icmp_err_convert`, `icmpv6_err_convert`); some may also be the kernel's own word.
    static func isReport(_ error: CInt) -> Bool {
        switch error {
        case ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENONET, EPROTO, ENOPROTOOPT, EOPNOTSUPP, EACCES,
            EMSGSIZE:
            true
        default: false
        }
    }

    /// How many of `bytes` may be asked for as a buffer: all, of which the kernel gives what it may.
    static func acceptableBufferSize(_ bytes: Int) -> Int { bytes }

    /// Buffers beyond `net.core.rmem_max` and `wmem_max`, which only a privileged process gets (socket(7)); others have
    /// what the ordinary option gave them.
    static func forceBufferSize(_ size: Int, descriptor: CInt) {
        var size = CInt(clamping: size)
        for option in [SO_RCVBUFFORCE, SO_SNDBUFFORCE] {
            _ = setsockopt(descriptor, SOL_SOCKET, option, &size, socklen_t(MemoryLayout<CInt>.size))
        }
    }

    /// The owner finds out the path's MTU itself (RFC 9000 §14.3): never fragment, and don't believe cached ICMP answers.
    static func leaveMTUToOwner(descriptor: CInt, family: NIOBSDSocket.ProtocolFamily) {
        var (level, option, probe) =
            family == .inet6
            ? (CInt(IPPROTO_IPV6), IPV6_MTU_DISCOVER, CInt(IPV6_PMTUDISC_PROBE))
            : (CInt(IPPROTO_IP), IP_MTU_DISCOVER, CInt(IP_PMTUDISC_PROBE))
        // Without it, discovery ends at what the kernel fragments to: slower, not wrong.
        _ = setsockopt(descriptor, level, option, &probe, socklen_t(MemoryLayout<CInt>.size))
    }

    /// Largest IP packet of the route that a connected socket uses: the interface's MTU, or less where the network said so
    /// (ICMP, RFC 1191 and 8201). Nil when the kernel does not say.
    static func routeMTU(descriptor: CInt, family: NIOBSDSocket.ProtocolFamily) -> Int? {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        let (level, option) =
            family == .inet6 ? (CInt(IPPROTO_IPV6), IPV6_MTU) : (CInt(IPPROTO_IP), IP_MTU)
        guard getsockopt(descriptor, level, option, &value, &length) == 0, value > 0 else { return nil }
        return Int(value)
    }
}

extension SegmentationOffload {
    /// Whether the kernel splits what is sent (UDP GSO).
    package static let isSupported = System.supportsUDPSegmentationOffload
    /// Whether it puts together what is received (UDP GRO).
    package static let isSupportedForReceiving = System.supportsUDPReceiveOffload

    /// Has the kernel put together what `descriptor` receives. Without it, datagrams come singly.
    static func turnOnReceiving(descriptor: CInt) {
        var isOn: CInt = 1
        _ = setsockopt(
            descriptor, NIOBSDSocket.OptionLevel.udp.rawValue, NIOBSDSocket.Option.udp_gro.rawValue, &isOn,
            socklen_t(MemoryLayout<CInt>.size))
    }
}
