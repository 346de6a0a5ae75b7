package import NIOCore

/// The client's flows of one rule: which local sender has which flow id, both ways round.
///
/// A first datagram of a sender opens a flow; the flow ends when it has been idle too long, when the agent forgets it, or
/// with the channel. Ids count up and are not used again before they wrap around, so that a late answer to a former flow
/// finds nobody rather than somebody else.
package struct ClientFlows<Source: Hashable> {
    @usableFromInline var table: FlowTable<Source, FlowID>
    @usableFromInline var slots: [FlowID: FlowTable<Source, FlowID>.Slot] = [:]
    @usableFromInline var lastID: UInt32 = 0

    /// - Parameter capacity: most flows at a time.
    @inlinable
    package init(capacity: Int) { self.table = FlowTable(capacity: capacity) }

    @inlinable
    package var count: Int { self.table.count }

    @inlinable
    package var isFull: Bool { self.table.isFull }

    /// The flow of a sender, which is active now; nil when it has none.
    @inlinable
    package mutating func flow(of source: Source, at now: NIODeadline) -> FlowID? {
        self.table.touch(source, at: now).flatMap { self.table[$0] }
    }

    /// Opens a flow for a sender that has none; nil when the table is full.
    @inlinable
    package mutating func open(for source: Source, at now: NIODeadline) -> FlowID? {
        guard !self.table.isFull else { return nil }
        let id = self.unusedID()
        guard let slot = self.table.insert(source, id, at: now) else { return nil }
        self.slots[id] = slot
        return id
    }

    /// Who opened the flow that an answer has come for; nil when there is no such flow (any more).
    @inlinable
    package mutating func source(ofAnswerOn id: FlowID, at now: NIODeadline) -> Source? {
        guard let slot = self.slots[id] else { return nil }
        return self.table.answer(slot, at: now)
    }

    /// Forgets a flow.
    @discardableResult @inlinable
    package mutating func remove(_ id: FlowID) -> Source? {
        guard let slot = self.slots.removeValue(forKey: id) else { return nil }
        return self.table.remove(slot)?.key
    }

    /// Forgets one flow whose last datagram, either way, was before `deadline`; nil when there is none.
    @inlinable
    package mutating func removeIdle(before deadline: NIODeadline) -> (source: Source, id: FlowID)? {
        guard let (source, id) = self.table.removeIdle(before: deadline) else { return nil }
        self.slots[id] = nil
        return (source, id)
    }

    /// Forgets the flow that is missed least; nil when all have been active lately.
    @inlinable
    package mutating func makeRoom(at now: NIODeadline) -> (source: Source, id: FlowID)? {
        guard let (source, id) = self.table.makeRoom(at: now) else { return nil }
        self.slots[id] = nil
        return (source, id)
    }

    /// Who has a flow, in no particular order.
    @inlinable
    package var sources: some Sequence<Source> { self.table.keys }

    /// Forgets the flow of a sender.
    @inlinable
    package mutating func remove(_ source: Source) -> FlowID? {
        guard let id = self.table.removeValue(of: source) else { return nil }
        self.slots[id] = nil
        return id
    }

    /// Forgets all flows.
    @inlinable
    package mutating func removeAll() -> Int {
        self.slots.removeAll()
        return self.table.removeAll().count
    }

    @inlinable
    mutating func unusedID() -> FlowID {
        // The table holds fewer flows than there are ids, so that the search ends.
        repeat { self.lastID &+= 1 } while self.lastID == 0 || self.slots[FlowID(rawValue: self.lastID)] != nil
        return FlowID(rawValue: self.lastID)
    }
}
