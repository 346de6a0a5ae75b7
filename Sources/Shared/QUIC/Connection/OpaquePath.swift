internal import CNgtcp2
import LibC

/// The one network path that ngtcp2 knows: made-up addresses.
///
/// Which addresses datagrams really travel between is decided below QUIC: by ICE for tunnels, by a connected or
/// demultiplexing socket for signalling.
enum OpaquePath {
    /// Lives as long as the process and is never written to, so it may be read from every thread.
    nonisolated(unsafe) static let pointer: UnsafePointer<ngtcp2_path> = {
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
