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

    init(number: UInt32) {
        // Both ends of the path change: a client may only migrate to another local address, and a server starts
        // congestion control anew only when it is not just the remote port that has changed.
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = number.bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        self.storage = .allocate(capacity: 1)
        withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                ngtcp2_path_storage_init(self.storage, address, length, address, length, nil)
            }
        }
    }

    init(copying path: UnsafePointer<ngtcp2_path>) {
        self.storage = .allocate(capacity: 1)
        let path = path.pointee
        ngtcp2_path_storage_init(
            self.storage, path.local.addr, path.local.addrlen, path.remote.addr, path.remote.addrlen, nil)
    }

    deinit {
        self.storage.deallocate()
    }

    /// Valid as long as the object.
    var pointer: UnsafePointer<ngtcp2_path> { UnsafePointer(CNgtcp2_path_storage_path(self.storage)) }
}
