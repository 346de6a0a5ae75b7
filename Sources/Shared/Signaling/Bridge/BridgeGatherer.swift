import AppProto
import NIOCore

/// Puts datagrams of a peer channel that come in together, each in a message of its own, into one: it is passed from hand to
/// hand more cheaply. Without sockets or clock.
struct BridgeGatherer {
    /// Bytes that go together at most, so that other channels get their turns in between.
    static let maximumBytes = 16 << 10

    private var gathered: Bridge?

    var isEmpty: Bool { self.gathered == nil }

    /// Takes datagrams in.
    ///
    /// - Returns: those before, when these cannot join them.
    mutating func append(_ bridge: Bridge) -> Bridge? {
        if self.gathered?.append(bridge, limit: Self.maximumBytes) == true { return nil }
        defer { self.gathered = bridge }
        return self.gathered
    }

    /// Takes everything out.
    mutating func take() -> Bridge? {
        defer { self.gathered = nil }
        return self.gathered
    }
}

extension Bridge {
    /// Adds the datagrams of `other` to these. False, and nothing has changed, when they are another channel's, when sizes do
    /// not allow it (all but the last are equal, the last may be smaller), or when that would be more than `limit` bytes.
    fileprivate mutating func append(_ other: Bridge, limit: Int) -> Bool {
        let size = self.segmentSize ?? self.datagrams.readableBytes
        let otherSize = other.segmentSize ?? other.datagrams.readableBytes
        let bytes = self.datagrams.readableBytes + other.datagrams.readableBytes
        guard self.peerID == other.peerID, bytes <= limit, self.datagrams.readableBytes.isMultiple(of: size),
            otherSize == size || (other.segmentSize == nil && otherSize < size)
        else { return false }
        if self.segmentSize == nil {
            // Its memory is that of what came in.
            var joined = ByteBuffer()
            joined.reserveCapacity(limit)
            joined.writeImmutableBuffer(self.datagrams)
            self.datagrams = joined
            self.segmentSize = size
        }
        self.datagrams.writeImmutableBuffer(other.datagrams)
        return true
    }
}
