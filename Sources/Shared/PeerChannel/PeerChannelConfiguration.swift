package import ICE
package import NIOCore
package import TLS

/// What every peer channel of a process has in common.
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
    /// Whom to ask for our reflexive addresses: the rtun server's UDP port first, then each `--stun`.
    package var stunServers: [STUNServerAddress] = []
    /// Names of the interfaces whose addresses may be used; empty: all but loopback. Ignored with `loopbackOnly`.
    package var interfaces: [String] = []
    /// True when the rtun server itself is reached over loopback: everything is on one machine then, and only
    /// loopback is used.
    package var loopbackOnly = false
    /// The key of `--e2e-secret`, 32 bytes: offers and answers carry a proof of it, and those without are refused.
    package var e2eKey: [UInt8]?
    /// How long to look for a path before giving up.
    package var pathTimeout: TimeAmount = .seconds(10)
    /// Timers of ICE; its `timeLimit` is replaced by `pathTimeout`.
    package var ice = ICEConfiguration()
    /// A tunnel that has heard nothing for this long is over.
    package var idleTimeout: TimeAmount = .seconds(30)
    /// How many streams a client may have open in the tunnel at once (agents).
    package var maxConcurrentStreams = 1024

    package init(identity: Identity) {
        self.identity = identity
    }
}
