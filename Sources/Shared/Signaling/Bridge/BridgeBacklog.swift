package import AppProto
import DequeModule
package import NIOCore

/// Datagrams of one flow that wait for their turn, oldest first.
package struct BridgeBacklog: Sendable {
    private struct Entry {
        let bridge: Bridge
        let since: NIODeadline
    }

    private var entries: Deque<Entry> = []
    /// What the waiting takes, in bytes of memory.
    package private(set) var cost = 0

    package init() {}

    package var isEmpty: Bool { self.entries.isEmpty }

    package var first: Bridge? { self.entries.first?.bridge }

    /// What `bridge` takes while it waits: its datagrams, and what holds them.
    package static func cost(of bridge: Bridge) -> Int {
        bridge.datagrams.readableBytes + 256
    }

    package mutating func append(_ bridge: Bridge, at now: NIODeadline) {
        var bridge = bridge
        let bytes = bridge.datagrams.readableBytes
        // A slice of a large read would keep all of it in memory for as long as it waits.
        if bridge.datagrams.storageCapacity > 2 * bytes + 256 {
            bridge.datagrams = ByteBuffer(bytes: bridge.datagrams.readableBytesView)
        }
        self.entries.append(Entry(bridge: bridge, since: now))
        self.cost += Self.cost(of: bridge)
    }

    package mutating func popFirst() -> Bridge? {
        guard let entry = self.entries.popFirst() else { return nil }
        self.cost -= Self.cost(of: entry.bridge)
        return entry.bridge
    }

    /// Drops what has waited for longer than `age`. Returns how many datagrams that were.
    package mutating func dropOlder(than age: TimeAmount, at now: NIODeadline) -> Int {
        var count = 0
        while let entry = self.entries.first, now - entry.since > age, let bridge = self.popFirst() {
            count += bridge.datagramCount
        }
        return count
    }
}
