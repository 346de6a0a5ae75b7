package import FlowLedger
package import NIOCore

/// One flow as the client knows it.
package struct ClientFlow: Sendable {
    package let id: FlowID
    package let openedAt: NIODeadline
    /// What has passed, in bytes of payload.
    package var traffic = FlowTraffic()

    @inlinable
    init(id: FlowID, openedAt: NIODeadline) {
        self.id = id
        self.openedAt = openedAt
    }
}

/// The client's flows of one rule: which local sender has which flow id, both ways round.
///
/// A first datagram of a sender opens a flow; the flow ends when it has been idle too long, when the agent forgets it, or
/// with the channel. Ids count up and are not used again before they wrap around, so that a late answer to a former flow
/// finds nobody rather than somebody else.
package struct ClientFlows<Source: Hashable> {
    /// A flow that is no more, and whose it was.
    package typealias Ended = (source: Source, flow: ClientFlow)

    @usableFromInline var table: FlowTable<Source, ClientFlow>
    @usableFromInline var slots: [FlowID: FlowTable<Source, ClientFlow>.Slot] = [:]
    @usableFromInline var lastID: UInt32 = 0

    /// - Parameter capacity: most flows at a time.
    @inlinable
    package init(capacity: Int) { self.table = FlowTable(capacity: capacity) }

    @inlinable
    package var count: Int { self.table.count }

    @inlinable
    package var isFull: Bool { self.table.isFull }

    /// The flow of a sender, on which `bytes` go out now; nil when it has none.
    @inlinable
    package mutating func flow(of source: Source, sending bytes: Int, at now: NIODeadline) -> FlowID? {
        guard let slot = self.table.touch(source, at: now) else { return nil }
        return self.table.count(FlowTraffic(sent: UInt64(bytes)), of: slot)
    }

    /// Opens a flow for a sender that has none, on which `bytes` go out now; nil when the table is full.
    @inlinable
    package mutating func open(for source: Source, sending bytes: Int, at now: NIODeadline) -> FlowID? {
        guard !self.table.isFull else { return nil }
        var flow = ClientFlow(id: self.unusedID(), openedAt: now)
        flow.traffic.sent = UInt64(bytes)
        guard let slot = self.table.insert(source, flow, at: now) else { return nil }
        self.slots[flow.id] = slot
        return flow.id
    }

    /// Who opened the flow that an answer of `bytes` has come for; nil when there is no such flow (any more).
    @inlinable
    package mutating func source(ofAnswerOn id: FlowID, receiving bytes: Int, at now: NIODeadline) -> Source? {
        guard let slot = self.slots[id], let source = self.table.answer(slot, at: now) else { return nil }
        self.table.count(FlowTraffic(received: UInt64(bytes)), of: slot)
        return source
    }

    /// Forgets a flow.
    @inlinable
    package mutating func remove(_ id: FlowID) -> Ended? {
        guard let slot = self.slots.removeValue(forKey: id) else { return nil }
        return self.table.remove(slot).map { ($0.key, $0.value) }
    }

    /// Forgets one flow whose last datagram, either way, was before `deadline`; nil when there is none.
    @inlinable
    package mutating func removeIdle(before deadline: NIODeadline) -> Ended? {
        self.forget(self.table.removeIdle(before: deadline))
    }

    /// Forgets the flow that is missed least; nil when all have been active lately.
    @inlinable
    package mutating func makeRoom(at now: NIODeadline) -> Ended? {
        self.forget(self.table.makeRoom(at: now))
    }

    /// Who has a flow, in no particular order.
    @inlinable
    package var sources: some Sequence<Source> { self.table.keys }

    /// The flows and whose they are, in no particular order.
    package var all: some Sequence<Ended> { self.table.entries.lazy.map { ($0.key, $0.value) } }

    /// Forgets the flow of a sender.
    @inlinable
    package mutating func remove(_ source: Source) -> Ended? {
        self.forget(self.table.removeValue(of: source).map { (source, $0) })
    }

    /// Forgets all flows, and returns them.
    @inlinable
    package mutating func removeAll() -> [Ended] {
        self.slots.removeAll()
        return self.table.removeAll().map { ($0.key, $0.value) }
    }

    @inlinable
    mutating func forget(_ entry: (key: Source, value: ClientFlow)?) -> Ended? {
        guard let (source, flow) = entry else { return nil }
        self.slots[flow.id] = nil
        return (source, flow)
    }

    @inlinable
    mutating func unusedID() -> FlowID {
        // The table holds fewer flows than there are ids, so that the search ends.
        repeat { self.lastID &+= 1 } while self.lastID == 0 || self.slots[FlowID(rawValue: self.lastID)] != nil
        return FlowID(rawValue: self.lastID)
    }
}

extension FlowTable where Value == ClientFlow {
    /// Adds to what has passed the flow of a slot that is in use, in place; returns the flow's id.
    @discardableResult @inlinable
    mutating func count(_ traffic: FlowTraffic, of slot: Slot) -> FlowID? {
        self.nodes[slot.index].entry?.value.traffic += traffic
        return self.nodes[slot.index].entry?.value.id
    }
}
