package import NIOCore

/// Flows by key, in the order of their last activity, so that finding, touching and expiring one each take constant time
/// however many there are.
///
/// The nodes lie in one array; a doubly linked list through their indices keeps the order of activity. A sweep looks only
/// at flows that are in fact idle, and at one that is not.
///
/// Inlinable, because every datagram comes through here: other modules get code for their own types.
package struct FlowTable<Key: Hashable, Value> {
    /// One place of the table. It keeps its number and is used again after ``remove(_:)``.
    package struct Slot: Hashable, Sendable {
        @usableFromInline let index: Int
        @usableFromInline let generation: UInt32

        @inlinable
        init(index: Int, generation: UInt32) {
            self.index = index
            self.generation = generation
        }
    }

    @usableFromInline
    struct Node {
        @usableFromInline var entry: (key: Key, value: Value)?
        @usableFromInline var lastActive: NIODeadline
        @usableFromInline var previous: Int
        @usableFromInline var next: Int
        /// Counts the uses of the place, so that a slot of a former flow is recognised.
        @usableFromInline var generation: UInt32

        @inlinable
        init(entry: (key: Key, value: Value)?, lastActive: NIODeadline, previous: Int, next: Int, generation: UInt32) {
            self.entry = entry
            self.lastActive = lastActive
            self.previous = previous
            self.next = next
            self.generation = generation
        }
    }

    /// A link that leads nowhere.
    @inlinable
    static var none: Int { -1 }

    @usableFromInline var nodes: [Node] = []
    @usableFromInline var slots: [Key: Int] = [:]
    @usableFromInline var firstFree: Int
    @usableFromInline var oldest: Int
    @usableFromInline var newest: Int

    /// Most flows it takes.
    package let capacity: Int

    @inlinable
    package init(capacity: Int) {
        self.capacity = capacity
        self.firstFree = Self.none
        self.oldest = Self.none
        self.newest = Self.none
    }

    /// How many flows there are.
    @inlinable
    package var count: Int { self.slots.count }
    @inlinable
    package var isEmpty: Bool { self.slots.isEmpty }
    @inlinable
    package var isFull: Bool { self.slots.count >= self.capacity }

    /// The flow of `key`, noting that it is active now.
    @inlinable
    package mutating func touch(_ key: Key, at now: NIODeadline) -> Slot? {
        guard let index = self.slots[key] else { return nil }
        self.markActive(index, at: now)
        return Slot(index: index, generation: self.nodes[index].generation)
    }

    /// The key of a flow found before, noting that the flow is active now; nil when it is gone.
    @inlinable
    package mutating func touch(_ slot: Slot, at now: NIODeadline) -> Key? {
        guard self.isCurrent(slot), let entry = self.nodes[slot.index].entry else { return nil }
        self.markActive(slot.index, at: now)
        return entry.key
    }

    /// The flow of `key`, without touching it.
    @inlinable
    package func slot(of key: Key) -> Slot? {
        self.slots[key].map { Slot(index: $0, generation: self.nodes[$0].generation) }
    }

    /// Adds a flow. Nil when the table is full or has one of that key.
    @inlinable
    package mutating func insert(_ key: Key, _ value: Value, at now: NIODeadline) -> Slot? {
        guard !self.isFull, self.slots[key] == nil else { return nil }
        let index: Int
        if self.firstFree != Self.none {
            index = self.firstFree
            self.firstFree = self.nodes[index].next
        } else {
            index = self.nodes.count
            self.nodes.append(Node(entry: nil, lastActive: now, previous: Self.none, next: Self.none, generation: 0))
        }
        self.nodes[index].entry = (key, value)
        self.nodes[index].lastActive = now
        self.slots[key] = index
        self.linkNewest(index)
        return Slot(index: index, generation: self.nodes[index].generation)
    }

    /// The value of a flow; nil when it is gone.
    @inlinable
    package subscript(slot: Slot) -> Value? {
        get { self.isCurrent(slot) ? self.nodes[slot.index].entry?.value : nil }
        set {
            guard self.isCurrent(slot), let newValue, let key = self.nodes[slot.index].entry?.key else { return }
            self.nodes[slot.index].entry = (key, newValue)
        }
    }

    /// Removes a flow and returns it.
    @discardableResult @inlinable
    package mutating func remove(_ slot: Slot) -> (key: Key, value: Value)? {
        self.isCurrent(slot) ? self.remove(at: slot.index) : nil
    }

    /// Removes the flow of `key` and returns its value.
    @discardableResult @inlinable
    package mutating func removeValue(of key: Key) -> Value? {
        self.slots[key].flatMap { self.remove(at: $0)?.value }
    }

    /// Removes the flow that has been idle longest, if its last activity was before `deadline`.
    @inlinable
    package mutating func removeIdle(before deadline: NIODeadline) -> (key: Key, value: Value)? {
        guard self.oldest != Self.none, self.nodes[self.oldest].lastActive < deadline else { return nil }
        return self.remove(at: self.oldest)
    }

    /// When the flow that has been idle longest was last active.
    @inlinable
    package var oldestActivity: NIODeadline? { self.oldest == Self.none ? nil : self.nodes[self.oldest].lastActive }

    /// The values of all flows, in no particular order.
    @inlinable
    package var values: some Sequence<Value> { self.nodes.lazy.compactMap { $0.entry?.value } }

    /// The keys of all flows, in no particular order.
    @inlinable
    package var keys: some Sequence<Key> { self.slots.keys }

    /// Removes all flows, returning them in the order of their activity, oldest first.
    @inlinable
    package mutating func removeAll() -> [(key: Key, value: Value)] {
        var removed: [(key: Key, value: Value)] = []
        removed.reserveCapacity(self.count)
        while self.oldest != Self.none {
            if let entry = self.remove(at: self.oldest) { removed.append(entry) }
        }
        return removed
    }

    @inlinable
    func isCurrent(_ slot: Slot) -> Bool {
        self.nodes.indices.contains(slot.index) && self.nodes[slot.index].generation == slot.generation
            && self.nodes[slot.index].entry != nil
    }

    @inlinable
    mutating func remove(at index: Int) -> (key: Key, value: Value)? {
        guard let entry = self.nodes[index].entry else { return nil }
        self.slots[entry.key] = nil
        self.unlink(index)
        self.nodes[index].entry = nil
        self.nodes[index].generation &+= 1
        self.nodes[index].next = self.firstFree
        self.firstFree = index
        return entry
    }

    @inlinable
    mutating func markActive(_ index: Int, at now: NIODeadline) {
        self.nodes[index].lastActive = now
        guard index != self.newest else { return }
        self.unlink(index)
        self.linkNewest(index)
    }

    @inlinable
    mutating func linkNewest(_ index: Int) {
        self.nodes[index].previous = self.newest
        self.nodes[index].next = Self.none
        if self.newest == Self.none { self.oldest = index } else { self.nodes[self.newest].next = index }
        self.newest = index
    }

    @inlinable
    mutating func unlink(_ index: Int) {
        let (previous, next) = (self.nodes[index].previous, self.nodes[index].next)
        if previous == Self.none { self.oldest = next } else { self.nodes[previous].next = next }
        if next == Self.none { self.newest = previous } else { self.nodes[next].previous = previous }
    }
}
