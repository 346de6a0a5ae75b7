internal import CNgtcp2

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The one network path that every connection believes to be on.
///
/// Which addresses datagrams travel between is decided below QUIC: by ICE for tunnels, by a connected or
/// demultiplexing socket for signalling. QUIC's own migration is switched off, so all it needs is a path that never
/// changes.
enum OpaquePath {
    /// Lives as long as the process and is never written to, so it may be read from every thread.
    nonisolated(unsafe) static let path: UnsafePointer<ngtcp2_path> = {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let storage = UnsafeMutablePointer<ngtcp2_path_storage>.allocate(capacity: 1)
        withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                ngtcp2_path_storage_init(storage, address, length, address, length, nil)
            }
        }
        return UnsafePointer(CNgtcp2_path_storage_path(storage))
    }()
}
