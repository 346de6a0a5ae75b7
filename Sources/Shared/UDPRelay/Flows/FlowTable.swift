package import NIOCore

/// Flows by key, in the order of their last activity, so that finding, touching and expiring one each take constant time
/// however many there are.
///
/// The nodes lie in one array; two doubly linked lists through their indices, of flows with an answer and of those without,
/// keep the order of activity. A sweep looks only at flows that are in fact idle, and at two that are not.
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
        @usableFromInline var isAnswered = false
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

    /// The ends of a list of nodes, in the order of their last activity.
    @usableFromInline
    struct Order {
        @usableFromInline var oldest: Int
        @usableFromInline var newest: Int

        @inlinable
        init() {
            self.oldest = FlowTable.none
            self.newest = FlowTable.none
        }
    }

    /// A link that leads nowhere.
    @inlinable
    static var none: Int { -1 }

    @usableFromInline var nodes: [Node] = []
    @usableFromInline var slots: [Key: Int] = [:]
    @usableFromInline var firstFree: Int
    /// Of flows without an answer, and of those with one.
    @usableFromInline var orders = InlineArray<2, Order>(repeating: Order())

    /// Most flows it takes.
    package let capacity: Int

    @inlinable
    package init(capacity: Int) {
        self.capacity = capacity
        self.firstFree = Self.none
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

    /// Notes that a flow is active now and has an answer.
    ///
    /// - Returns: whether there is such a flow.
    @inlinable
    package mutating func answer(_ key: Key, at now: NIODeadline) -> Bool {
        guard let index = self.slots[key] else { return false }
        self.answer(at: index, now)
        return true
    }

    /// The key of a flow found before, noting that the flow is active now and has an answer; nil when it is gone.
    @inlinable
    package mutating func answer(_ slot: Slot, at now: NIODeadline) -> Key? {
        guard self.isCurrent(slot), let entry = self.nodes[slot.index].entry else { return nil }
        self.answer(at: slot.index, now)
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
        self.nodes[index].isAnswered = false
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
        guard let oldest = self.oldest, self.nodes[oldest].lastActive < deadline else { return nil }
        return self.remove(at: oldest)
    }

    /// Removes the flow that is missed least: of those without an answer the one that has been idle longest, otherwise of
    /// those with one. Nil when none has been idle for long enough.
    ///
    /// - Parameters:
    ///   - unansweredDeadline: a flow without an answer goes if its last activity was before this.
    ///   - answeredDeadline: the same of one with an answer.
    @inlinable
    package mutating func removeLeastUsed(
        unansweredBefore unansweredDeadline: NIODeadline, answeredBefore answeredDeadline: NIODeadline
    ) -> (key: Key, value: Value)? {
        let (unanswered, answered) = (self.orders[0].oldest, self.orders[1].oldest)
        if unanswered != Self.none, self.nodes[unanswered].lastActive < unansweredDeadline {
            return self.remove(at: unanswered)
        }
        guard answered != Self.none, self.nodes[answered].lastActive < answeredDeadline else { return nil }
        return self.remove(at: answered)
    }

    /// When the flow that has been idle longest was last active.
    @inlinable
    package var oldestActivity: NIODeadline? { self.oldest.map { self.nodes[$0].lastActive } }

    /// Which flow has been idle longest.
    @inlinable
    var oldest: Int? {
        let (unanswered, answered) = (self.orders[0].oldest, self.orders[1].oldest)
        guard unanswered != Self.none else { return answered == Self.none ? nil : answered }
        guard answered != Self.none else { return unanswered }
        return self.nodes[unanswered].lastActive <= self.nodes[answered].lastActive ? unanswered : answered
    }

    /// All flows, in no particular order.
    @inlinable
    package var entries: some Sequence<(key: Key, value: Value)> { self.nodes.lazy.compactMap(\.entry) }

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
        while let oldest = self.oldest {
            if let entry = self.remove(at: oldest) { removed.append(entry) }
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
        // The newest in its list has no next one.
        guard self.nodes[index].next != Self.none else { return }
        self.unlink(index)
        self.linkNewest(index)
    }

    @inlinable
    mutating func answer(at index: Int, _ now: NIODeadline) {
        guard !self.nodes[index].isAnswered else { return self.markActive(index, at: now) }
        self.unlink(index)
        self.nodes[index].lastActive = now
        self.nodes[index].isAnswered = true
        self.linkNewest(index)
    }

    @inlinable
    mutating func linkNewest(_ index: Int) {
        let order = self.order(of: index)
        let newest = self.orders[order].newest
        self.nodes[index].previous = newest
        self.nodes[index].next = Self.none
        if newest == Self.none { self.orders[order].oldest = index } else { self.nodes[newest].next = index }
        self.orders[order].newest = index
    }

    @inlinable
    mutating func unlink(_ index: Int) {
        let order = self.order(of: index)
        let (previous, next) = (self.nodes[index].previous, self.nodes[index].next)
        if previous == Self.none { self.orders[order].oldest = next } else { self.nodes[previous].next = next }
        if next == Self.none { self.orders[order].newest = previous } else { self.nodes[next].previous = previous }
    }

    /// Where in `orders` a node is.
    @inlinable
    func order(of index: Int) -> Int { self.nodes[index].isAnswered ? 1 : 0 }
}
