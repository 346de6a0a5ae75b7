package import NIOCore
import STUN

/// How datagrams reach the peer.
package enum SelectedPath: Hashable, Sendable {
    /// Through the server, inside the two control connections.
    case bridge
    /// From one of our addresses to one of the peer's, straight through the network.
    case direct(local: SocketAddress, remote: SocketAddress)
}

extension SelectedPath {
    /// More is never sent, whatever the path carries, in bytes of UDP payload: IPv6 over Ethernet (1500 − 40 − 8). So a channel
    /// behaves the same on every network.
    package static let largestDatagram = 1452

    /// The value of the log key `path`.
    package var name: String {
        switch self {
        case .bridge: "bridge"
        case .direct: "direct"
        }
    }

    /// Where datagrams go, as `ip:port` or `[ip]:port`; `server` for the bridge.
    package var remoteDescription: String {
        switch self {
        case .bridge: "server"
        case .direct(_, let remote): TransportAddress(remote)?.description ?? "\(remote)"
        }
    }
}

/// Why datagrams go another way from now on: the value of the log key `reason`.
package enum PathChangeReason: String, CaseIterable, Sendable {
    /// ICE has found a pair; it is used unconfirmed where there is nothing else.
    case found
    /// Full-size datagrams got through in both directions.
    case confirmed
    /// ICE has selected a better pair, and that has been confirmed.
    case betterPair = "better_pair"
    /// The direct path answers no more.
    case silent
    /// Small datagrams get through on it, those of full size don't.
    case carriesOnlySmallDatagrams = "carries_only_small_datagrams"
    /// The peer sends by the bridge again, so it has given the direct path up.
    case peerLeft = "peer_left"
    /// The peer's consent to it has expired (RFC 7675).
    case consentLost = "consent_lost"
    /// ICE has given it up.
    case failed
    /// The control connection is there (again).
    case bridgeUp = "bridge_up"
    /// The control connection is lost, and the bridge with it.
    case bridgeDown = "bridge_down"
}
