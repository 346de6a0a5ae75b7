package import Basics
import DequeModule
package import NIOCore

/// Puts the datagrams of a tunnel's associations together again from their pieces.
///
/// What is incomplete is bounded in number, bytes and time; when there is too much, the oldest goes.
package struct DatagramReassembler {
    private struct Key: Hashable {
        let association: AssociationID
        let packet: UInt16
    }

    /// A datagram of which pieces are missing.
    fileprivate struct Incomplete {
        /// The pieces by index, empty ones missing.
        var pieces: [ByteBuffer]
        var endpoint: Endpoint?
        var missing: Int
        var payloadBytes = 0
        /// What it counts for.
        var cost: Int
        let deadline: NIODeadline
    }

    /// What a piece takes besides its bytes.
    private static let overhead = 128
    /// A datagram is given up when so many later ones of its association have begun: long before numbers come again.
    private static let window: UInt16 = 4096

    private var incomplete: [Key: Incomplete] = [:]
    /// In the order in which their first piece came. Those that are complete meanwhile are passed over.
    private var order: Deque<Key> = []
    private var counts: [AssociationID: Int] = [:]
    private var bytes = 0
    /// Datagrams that were given up because pieces of them were missing, or did not fit together.
    package private(set) var abandoned: UInt64 = 0

    package init() {}

    /// How much is incomplete: datagrams, and what they count for in bytes.
    var size: (count: Int, bytes: Int) { (self.incomplete.count, self.bytes) }

    /// When to call ``expire(at:)``.
    package var nextDeadline: NIODeadline? { self.order.first.flatMap { self.incomplete[$0]?.deadline } }

    /// Takes a piece; returns the datagram if it was the last one missing.
    package mutating func receive(
        _ fragment: AssociationFrame.Fragment, of association: AssociationID, at now: NIODeadline
    ) -> (endpoint: Endpoint, payload: ByteBuffer)? {
        self.expire(at: now)
        let key = Key(association: association, packet: fragment.packet)
        if self.incomplete[key] == nil { self.begin(key, fragment.count, at: now) }
        // In place, so that nothing is copied.
        guard let (fits, isComplete) = self.incomplete[key]?.add(fragment, overhead: Self.overhead) else { return nil }
        guard fits else {
            self.abandon(key)
            return nil
        }
        self.bytes += fragment.payload.readableBytes + Self.overhead
        guard isComplete else {
            while self.bytes > AssociationLimits.incompleteBytes, let oldest = self.order.first { self.abandon(oldest) }
            return nil
        }
        guard let whole = self.remove(key), let endpoint = whole.endpoint else { return nil }
        return (endpoint, whole.joined())
    }

    /// Gives up what has waited for too long.
    package mutating func expire(at now: NIODeadline) {
        while let oldest = self.order.first, let deadline = self.incomplete[oldest]?.deadline, deadline <= now {
            self.abandon(oldest)
        }
    }

    /// The association is over.
    package mutating func remove(_ association: AssociationID) {
        guard self.counts[association] != nil else { return }
        for key in self.order where key.association == association { _ = self.remove(key) }
    }

    private mutating func begin(_ key: Key, _ count: Int, at now: NIODeadline) {
        self.abandonOvertaken(by: key)
        if self.counts[key.association, default: 0] >= AssociationLimits.incompletePerAssociation,
            let oldest = self.order.first(where: { $0.association == key.association })
        {
            self.abandon(oldest)
        }
        if self.incomplete.count >= AssociationLimits.incomplete, let oldest = self.order.first { self.abandon(oldest) }
        self.incomplete[key] = Incomplete(
            pieces: Array(repeating: ByteBuffer(), count: count), missing: count, cost: 0,
            deadline: now + AssociationLimits.reassemblyTime)
        self.order.append(key)
        self.counts[key.association, default: 0] += 1
    }

    /// The association's oldest may be from so long ago that its number is about to come again.
    private mutating func abandonOvertaken(by key: Key) {
        guard self.counts[key.association] != nil,
            let oldest = self.order.first(where: { $0.association == key.association }),
            (Self.window..<(.max / 2)).contains(key.packet &- oldest.packet)
        else { return }
        self.abandon(oldest)
    }

    private mutating func abandon(_ key: Key) {
        if self.remove(key) != nil { self.abandoned += 1 }
    }

    private mutating func remove(_ key: Key) -> Incomplete? {
        guard let removed = self.incomplete.removeValue(forKey: key) else { return nil }
        self.bytes -= removed.cost
        let count = (self.counts[key.association] ?? 1) - 1
        self.counts[key.association] = count == 0 ? nil : count
        if self.order.first == key {
            self.order.removeFirst()
        } else if let index = self.order.lastIndex(of: key) {
            // Most often the last one: pieces come one behind the other.
            self.order.remove(at: index)
        }
        return removed
    }
}

extension DatagramReassembler.Incomplete {
    /// Adds a piece; one that has come before changes nothing.
    ///
    /// - Returns: whether it fits, and whether it was the last one missing.
    fileprivate mutating func add(
        _ fragment: AssociationFrame.Fragment, overhead: Int
    ) -> (fits: Bool, isComplete: Bool) {
        let size = fragment.payload.readableBytes
        guard fragment.count == self.pieces.count, self.pieces.indices.contains(fragment.index),
            self.payloadBytes + size <= AssociationLimits.payload
        else { return (false, false) }
        self.cost += size + overhead
        guard self.pieces[fragment.index].readableBytes == 0 else { return (true, false) }
        self.pieces[fragment.index] = fragment.payload
        self.payloadBytes += size
        if let endpoint = fragment.endpoint { self.endpoint = endpoint }
        self.missing -= 1
        return (true, self.missing == 0)
    }

    fileprivate func joined() -> ByteBuffer {
        var payload = ByteBuffer()
        payload.reserveCapacity(self.payloadBytes)
        for piece in self.pieces { payload.writeImmutableBuffer(piece) }
        return payload
    }
}
