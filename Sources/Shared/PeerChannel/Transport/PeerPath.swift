package import NIOCore
import STUN

/// How datagrams reach the peer.
package enum PeerPath: Hashable, Sendable {
    /// From one of our addresses to one of the peer's, straight through the network.
    case direct(local: SocketAddress, remote: SocketAddress)
}

extension PeerPath {
    /// The value of the log key `path`.
    package var name: String {
        switch self {
        case .direct: "direct"
        }
    }

    /// The peer's address on this path.
    package var remote: SocketAddress {
        switch self {
        case .direct(_, let remote): remote
        }
    }

    /// The peer's address as `ip:port` or `[ip]:port`.
    package var remoteDescription: String {
        TransportAddress(self.remote)?.description ?? "\(self.remote)"
    }
}
