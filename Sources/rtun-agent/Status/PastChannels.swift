import PeerChannel

/// What has become of an event loop's channels that are over.
struct PastChannels: Sendable {
    private(set) var totals = ChannelTotals()
    private(set) var drops: [DropReason: UInt64] = [:]

    /// One is over.
    mutating func add(_ peer: any AcceptedPeer) {
        self.totals += peer.peerChannel.totals
        self.drops.merge(peer.drops) { $0 &+ $1 }
    }
}
