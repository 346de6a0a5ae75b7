package import Admin
package import Basics
package import PeerChannel
import PeerPath

/// What a peer channel is like at one moment.
package struct ChannelStatus: Sendable {
    package let peer: String
    /// `direct` or `bridge`; nil while there is no path.
    package let path: String?
    /// Where datagrams go; nil while there is no path.
    package let remote: String?
    /// In milliseconds; nil before it was measured.
    package let roundTripTime: Double?
    /// Unix time in milliseconds.
    package let since: UInt64

    /// The channel as it is now. On its event loop.
    package init(_ channel: any AnyPeerChannel, id: String, _ clock: StatusClock) {
        self.peer = id
        self.path = channel.path?.name
        self.remote = channel.path?.remoteDescription
        self.roundTripTime = channel.roundTripTime?.loggedMilliseconds
        self.since = clock.unixTime(of: channel.startedAt ?? clock.now)
    }

    /// The members that tell of it.
    package var members: [JSON.Member] {
        [
            .init("peer", .string(self.peer)), .init("path", JSON(self.path)), .init("remote", JSON(self.remote)),
            .init("rtt_ms", JSON(self.roundTripTime)), .init("since_ms", .unsigned(self.since)),
        ]
    }
}

extension Metrics {
    /// What is known of peer channels.
    ///
    /// - Parameter channels: those that there are.
    package mutating func addChannels(_ channels: [ChannelStatus], _ totals: ChannelTotals) {
        let paths: [(String, String?)] = [("direct", "direct"), ("bridge", "bridge"), ("none", nil)]
        self.gauge(
            "rtun_peers", "Peer channels by the path in use: direct, bridge (through the server), none so far.",
            by: "path",
            paths.map { name, path in (name, channels.count { $0.path == path }) })
        self.counter(
            "rtun_peer_handshakes_total", "Peer channels that came up, and those that failed to.", by: "outcome",
            [("connected", totals.connected), ("failed", totals.failed)])
        self.counter(
            "rtun_path_moves_total", "How often a channel has moved to another path, by reason.", by: "reason",
            PathChangeReason.allCases.map { ($0.rawValue, totals.moves[$0] ?? 0) })
    }
}
