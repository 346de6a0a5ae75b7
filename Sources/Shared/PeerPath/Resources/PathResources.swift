import Synchronization

/// What all channels of a process share, so that many of them together do no more than one may.
package struct PathResources: Sendable {
    /// For checks of addresses that have not answered.
    let checks: CheckBudget
    /// For the datagrams of spreads.
    let spreads: CheckBudget
    let spreadPlaces: SpreadPlaces

    /// Those of this process.
    package static let process = PathResources()

    /// Fresh ones, for tests.
    package init() {
        self.checks = CheckBudget(rate: 300, burst: 600)
        // Two spreads may run at a time, with 150 datagrams a second each.
        self.spreads = CheckBudget(rate: 300, burst: 300)
        self.spreadPlaces = SpreadPlaces(limit: 2)
    }
}

/// How many spreads may run at a time: each takes hundreds of sockets or mappings.
final class SpreadPlaces: Sendable {
    /// Taken until it is released.
    final class Place: Sendable {
        private let places: SpreadPlaces

        fileprivate init(_ places: SpreadPlaces) { self.places = places }

        deinit { self.places.taken.withLock { $0 -= 1 } }
    }

    private let limit: Int
    private let taken = Mutex(0)

    init(limit: Int) { self.limit = limit }

    /// A place; nil when there is none.
    func take() -> Place? {
        let isFree = self.taken.withLock { taken in
            guard taken < self.limit else { return false }
            taken += 1
            return true
        }
        return isFree ? Place(self) : nil
    }
}
