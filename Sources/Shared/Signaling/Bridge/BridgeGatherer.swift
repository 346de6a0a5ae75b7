import AppProto
import NIOCore

/// Puts datagrams of a peer channel that come in together, each in a message of its own, into one: it is passed from hand to
/// hand more cheaply. Without sockets or clock.
struct BridgeGatherer {
    /// Bytes of a channel that go together at most, so that other channels get their turns in between.
    static let maximumBytes = 16 << 10
    /// Channels that are gathered for at a time.
    static let maximumChannels = 16

    /// One for each channel, in the order in which the first of it came.
    private var gathered: [Bridge] = []

    var isEmpty: Bool { self.gathered.isEmpty }

    /// Takes datagrams in.
    ///
    /// - Returns: those that have to go on now: of the same channel, when these cannot join them, or of another one.
    mutating func append(_ bridge: Bridge) -> Bridge? {
        guard let index = self.gathered.firstIndex(where: { $0.peerID == bridge.peerID }) else {
            let oldest = self.gathered.count < Self.maximumChannels ? nil : self.gathered.removeFirst()
            self.gathered.append(bridge)
            return oldest
        }
        if self.gathered[index].append(bridge, limit: Self.maximumBytes) { return nil }
        defer { self.gathered[index] = bridge }
        return self.gathered[index]
    }

    /// Takes everything out.
    mutating func takeAll() -> [Bridge] {
        defer { self.gathered.removeAll(keepingCapacity: true) }
        return self.gathered
    }
}

extension Bridge {
    /// Adds the datagrams of `other`, which is of the same channel, to these. False, and nothing has changed, when sizes do not
    /// allow it (all but the last are equal, the last may be smaller), or when that would be more than `limit` bytes.
    fileprivate mutating func append(_ other: Bridge, limit: Int) -> Bool {
        let size = self.segmentSize ?? self.datagrams.readableBytes
        let otherSize = other.segmentSize ?? other.datagrams.readableBytes
        let bytes = self.datagrams.readableBytes + other.datagrams.readableBytes
        guard bytes <= limit, self.datagrams.readableBytes.isMultiple(of: size),
            otherSize == size || (other.segmentSize == nil && otherSize < size)
        else { return false }
        if self.segmentSize == nil {
            // Its memory is that of what came in.
            var joined = ByteBuffer()
            joined.reserveCapacity(min(limit, 4 * bytes))
            joined.writeImmutableBuffer(self.datagrams)
            self.datagrams = joined
            self.segmentSize = size
        }
        self.datagrams.writeImmutableBuffer(other.datagrams)
        return true
    }
}
