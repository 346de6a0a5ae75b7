internal import CNgtcp2

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A network path as ngtcp2 sees it: made-up addresses that only tell one path from another.
///
/// Which addresses datagrams really travel between is decided below QUIC: by ICE for tunnels, by a connected or
/// demultiplexing socket for signalling. A connection starts on path 0. When the owner says that datagrams go another way
/// from now on, the connection migrates to the next number (RFC 9000 section 9), so that congestion control starts anew
/// and the peer is asked whether it is still there.
final class OpaquePath {
    /// Where every connection starts. Lives as long as the process and is never written to, so it may be read from every
    /// thread.
    nonisolated(unsafe) static let first = OpaquePath(number: 0)

    private let storage: UnsafeMutablePointer<ngtcp2_path_storage>

    /// - Parameter local: the number that the local address is made of, if it is another one. A client may only migrate to
    ///   another local address. A server starts congestion control anew when the remote address is another one, and needs
    ///   a new connection id for it only when its own address is, too: it must be able to do without while it can't send.
    init(number: UInt32, local: UInt32? = nil) {
        var (localAddress, remoteAddress) = (Self.address(local ?? number), Self.address(number))
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let storage = UnsafeMutablePointer<ngtcp2_path_storage>.allocate(capacity: 1)
        self.storage = storage
        withUnsafePointer(to: &localAddress) { local in
            withUnsafePointer(to: &remoteAddress) { remote in
                local.withMemoryRebound(to: sockaddr.self, capacity: 1) { local in
                    remote.withMemoryRebound(to: sockaddr.self, capacity: 1) { remote in
                        ngtcp2_path_storage_init(storage, local, length, remote, length, nil)
                    }
                }
            }
        }
    }

    private static func address(_ number: UInt32) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = number.bigEndian
        return address
    }

    deinit {
        self.storage.deallocate()
    }

    /// Valid as long as the object.
    var pointer: UnsafePointer<ngtcp2_path> { UnsafePointer(CNgtcp2_path_storage_path(self.storage)) }
}
