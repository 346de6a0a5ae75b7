import DequeModule

/// Places that strangers take, shared out by where they come from.
///
/// The newest always gets a place: whoever means well is through in a few round trips, so that the oldest is the one to go.
/// A network that has its share loses its own oldest; when all places are taken, the network that has most of them does.
package struct FairPlaces<ID: Hashable, Source: Hashable> {
    /// How many there are.
    package let limit: Int
    /// How many one source may have.
    package let share: Int
    private var sources: [ID: Source?] = [:]
    /// Whoever is there, by source, the oldest first.
    private var queues: [Source?: Deque<ID>] = [:]

    /// - Parameters:
    ///   - limit: at least 1.
    ///   - share: at least 1.
    package init(limit: Int, share: Int) {
        self.limit = max(1, limit)
        self.share = max(1, share)
    }

    package var count: Int { self.sources.count }

    /// Gives a place to `id`, which has none.
    ///
    /// - Parameter source: nil for one that is not known, for which no share is kept.
    /// - Returns: who loses its place for that.
    package mutating func add(_ id: ID, from source: Source?) -> ID? {
        self.sources[id] = .some(source)
        self.queues[source, default: []].append(id)
        if source != nil, let count = self.queues[source]?.count, count > self.share {
            return self.removeOldest(of: source)
        }
        guard self.sources.count > self.limit,
            let largest = self.queues.max(by: { $0.value.count < $1.value.count })
        else { return nil }
        return self.removeOldest(of: largest.key)
    }

    /// Takes the place of `id` back, if it has one.
    @discardableResult
    package mutating func remove(_ id: ID) -> Bool {
        guard let source = self.sources.removeValue(forKey: id) else { return false }
        self.queues[source]?.removeAll { $0 == id }
        if self.queues[source]?.isEmpty == true { self.queues[source] = nil }
        return true
    }

    private mutating func removeOldest(of source: Source?) -> ID? {
        guard let oldest = self.queues[source]?.first else { return nil }
        self.remove(oldest)
        return oldest
    }
}
