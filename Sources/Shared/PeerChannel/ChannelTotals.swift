package import PeerPath

/// What has become of channels: of one, or of several together.
package struct ChannelTotals: Hashable, Sendable {
    /// Channels whose carriers came up: both sides have authenticated each other.
    package var connected: UInt64 = 0
    /// Channels that never came up though somebody here wanted them.
    package var failed: UInt64 = 0
    /// How often datagrams went another way from then on, the first way of each channel not counted.
    package var moves: [PathChangeReason: UInt64] = [:]

    package init() {}

    package static func += (totals: inout ChannelTotals, part: ChannelTotals) {
        totals.connected &+= part.connected
        totals.failed &+= part.failed
        totals.moves.merge(part.moves) { $0 &+ $1 }
    }
}
