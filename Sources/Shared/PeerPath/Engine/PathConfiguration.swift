package import ICE
package import NIOCore
package import STUN

/// Which kinds of path a channel may take (`--p2p`).
package enum PathChoice: Hashable, Sendable {
    /// The bridge at once, and the best direct path as soon as there is one.
    case auto
    /// Direct paths only.
    case direct
    /// The server's bridge only.
    case bridge
}

/// What a ``PathEngine`` goes by.
package struct PathConfiguration {
    /// Which kinds of path may be taken.
    package var choice = PathChoice.auto
    /// Whether the server that the control connection leads to carries datagrams between peers.
    package var serverBridges = false
    /// Timers of ICE; `timeLimit` is replaced by `pathTimeout`.
    package var ice = ICEConfiguration()
    /// How long to look for a path before giving up.
    package var pathTimeout = TimeAmount.seconds(10)
    /// How long a channel that has lost its path waits for another one.
    package var pathLossTimeout = TimeAmount.seconds(60)
    /// How often a direct path is looked for again while the bridge carries the channel.
    package var directRetryInterval = TimeAmount.seconds(60)
    /// How many sockets may be opened against a NAT whose mapping depends on the destination, 0…1024.
    package var spread = 0
    /// Where the peer may be looked for directly.
    package var permitsCandidate: @Sendable (SocketAddress) -> Bool = { _ in true }
    /// The largest datagram that leaves this machine whole from a base to an address, in bytes of UDP payload; nil without a
    /// route.
    package var ceiling: (PathBase, SocketAddress) -> Int? = { _, _ in nil }
    /// What the channels of the process share.
    package var resources = PathResources.process

    /// For the proofs in connectivity checks and their answers.
    let hmacSHA1: HMACSHA1

    package init(hmacSHA1: @escaping HMACSHA1) { self.hmacSHA1 = hmacSHA1 }
}

/// One of the sockets of an ICE session.
package struct PathBase: Hashable, Sendable {
    package let generation: UInt32
    package let base: LocalBaseID

    package init(generation: UInt32, base: LocalBaseID) {
        self.generation = generation
        self.base = base
    }
}
