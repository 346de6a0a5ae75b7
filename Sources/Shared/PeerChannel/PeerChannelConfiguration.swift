package import HostNetwork
package import ICE
package import NIOCore
package import PeerPath
package import QUIC
package import TLS

/// What every peer channel of a process has in common: the stored variables are as many as there are things to choose.
package struct PeerChannelConfiguration: Sendable {
    /// A STUN server, by IP literal (no brackets) or name.
    package struct STUNServerAddress: Hashable, Sendable {
        package var host: String
        package var port: UInt16

        package init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    /// The certificate and key that the peer pins by fingerprint; made once at start.
    package var identity: Identity
    /// Whom to ask for our reflexive addresses: the rtun server's UDP port first, then where else it
    /// answers, then each `--stun`.
    package var stunServers: [STUNServerAddress] = []
    /// Which kinds of path a channel may take.
    package var pathChoice = PathChoice.auto
    /// Whether the server that the control connection leads to carries datagrams between peers.
    package var serverBridges = false
    /// How many sockets may be opened against a NAT whose mapping depends on the destination, 0…1024; 0: none
    /// (`--p2p-spread`). The peer in front of such a NAT probes a multiple of it in ports.
    package var spread = 256
    /// Names of the interfaces whose addresses may be used; empty: all but loopback. Ignored with `loopbackOnly`.
    package var interfaces: [String] = []
    /// True when the rtun server itself is reached over loopback: everything is on one machine then, and only
    /// loopback is used.
    package var loopbackOnly = false
    /// Where a peer may be looked for directly, of the addresses that it has named or seems to come from. Loopback is none
    /// but with `loopbackOnly`, whatever this says.
    package var permitsCandidate: @Sendable (SocketAddress) -> Bool = { _ in true }
    /// For whom checks are sent to addresses that have not answered: all that have the same owner share what one may send; nil:
    /// each channel for itself.
    package var checkOwner: ObjectIdentifier?
    /// Tells of changes of the machine's addresses and routes; nil: nobody does.
    package var addressMonitor: AddressMonitor? = AddressMonitor.shared
    /// The key of `--e2e-secret`, 32 bytes: offers and answers carry a proof of it, and those without are refused.
    package var e2eKey: [UInt8]?
    /// How long to look for a path before giving up.
    package var pathTimeout: TimeAmount = .seconds(10)
    /// How long a channel that has lost its path waits for another one.
    package var pathLossTimeout: TimeAmount = .seconds(60)
    /// How often a direct path is looked for again while the bridge carries the channel.
    package var directRetryInterval: TimeAmount = .seconds(60)
    /// Timers of ICE; its `timeLimit` is replaced by `pathTimeout`.
    package var ice = ICEConfiguration()
    /// A tunnel that has heard nothing for this long is over.
    ///
    /// Longer than the minute for which a suspended peer, or a channel without any path (`pathLossTimeout`), is waited for. A
    /// channel of either kind that has heard nothing for this long ends.
    package var idleTimeout: TimeAmount = .seconds(75)
    /// How often a tunnel without traffic is tried.
    package var keepAliveInterval: TimeAmount = .seconds(10)
    /// How many streams a client may have open in the tunnel at once (agents).
    package var maxConcurrentStreams = 4096
    /// How this side of a tunnel decides how much it sends, and how fast (`--congestion`). Datagram channels have no
    /// congestion control.
    package var congestionControl = CongestionControl.bbr
    /// Largest receive window of one stream, in bytes.
    package var maxStreamWindow = 8 << 20
    /// Bound of what all streams of one tunnel have received and not passed on, in bytes. With four times
    /// `maxStreamWindow` several connections that nobody reads leave room for the others.
    package var maxUnconsumedBytes = 32 << 20

    package init(identity: Identity) {
        self.identity = identity
    }
}
