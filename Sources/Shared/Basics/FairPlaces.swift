import DequeModule

/// Places that strangers take, shared out by where they come from.
///
/// The newest always gets a place: whoever means well is through in a few round trips, so that the oldest is the one to go.
/// A source that has its share loses its own oldest. When all places are taken, the oldest goes of those whose source has
/// as many as there are for each, or more.
package struct FairPlaces<ID: Hashable, Source: Hashable> {
    private struct Place {
        let source: Source?
        /// Counts those that have come: an id may be used again.
        let number: UInt64
    }

    /// How many there are.
    package let limit: Int
    /// How many one source may have.
    package let share: Int
    private var places: [ID: Place] = [:]
    /// How many each source has.
    private var counts: [Source?: Int] = [:]
    /// In the order of their coming; some have left.
    private var arrivals: Deque<(id: ID, number: UInt64)> = []
    private var next: UInt64 = 0

    /// - Parameters:
    ///   - limit: at least 1.
    ///   - share: at least 1.
    package init(limit: Int, share: Int) {
        self.limit = max(1, limit)
        self.share = max(1, share)
    }

    package var count: Int { self.places.count }

    /// Gives a place to `id`, which has none.
    ///
    /// - Parameter source: nil for one that is not known, for which no share is kept.
    /// - Returns: who loses its place for that; never `id` itself.
    package mutating func add(_ id: ID, from source: Source?) -> ID? {
        self.places[id] = Place(source: source, number: self.next)
        self.counts[source, default: 0] += 1
        self.arrivals.append((id, self.next))
        self.next += 1
        let evicted: ID?
        if source != nil, self.counts[source, default: 0] > self.share {
            evicted = self.oldest { $0 == source }
        } else if self.places.count > self.limit {
            // Somebody has that many at least.
            let fair = self.limit / self.counts.count
            evicted = self.oldest { self.counts[$0, default: 0] >= fair }
        } else {
            evicted = nil
        }
        if let evicted { self.remove(evicted) }
        return evicted
    }

    /// Takes the place of `id` back, if it has one.
    @discardableResult
    package mutating func remove(_ id: ID) -> Bool {
        guard let place = self.places.removeValue(forKey: id) else { return false }
        let count = self.counts[place.source, default: 1] - 1
        self.counts[place.source] = count > 0 ? count : nil
        self.forgetLeavers()
        return true
    }

    /// The one that came first of those whose source is one of these.
    private func oldest(_ isWanted: (Source?) -> Bool) -> ID? {
        self.arrivals.first { arrival in
            self.places[arrival.id].map { $0.number == arrival.number && isWanted($0.source) } ?? false
        }?.id
    }

    private mutating func forgetLeavers() {
        while let first = self.arrivals.first, self.places[first.id]?.number != first.number {
            self.arrivals.removeFirst()
        }
        guard self.arrivals.count > 2 * self.places.count + 64 else { return }
        let places = self.places
        self.arrivals.removeAll { places[$0.id]?.number != $0.number }
    }
}
