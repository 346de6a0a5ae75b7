import Basics
import Synchronization

/// What all channels of a process share, so that many of them together do no more than one may.
package struct PathResources: Sendable {
    /// For checks of addresses that have not answered.
    let checks: SharedCheckBudget
    /// For the datagrams of spreads.
    let spreads: CheckBudget
    let spreadPlaces: SpreadPlaces
    /// Whose share the channels use that are given this; nil: each session has one of its own.
    package var owner: ObjectIdentifier?

    /// Those of this process.
    package static let process = PathResources()

    /// Fresh ones, for tests.
    package init() {
        self.checks = SharedCheckBudget(limit: 600, window: .seconds(2))
        // Two spreads may run at a time, with 150 datagrams a second each.
        self.spreads = CheckBudget(rate: 300, burst: 300)
        self.spreadPlaces = SpreadPlaces(limit: 2)
    }
}

/// How many spreads may run at a time: each takes hundreds of sockets or mappings. One owner has no more than half of them.
final class SpreadPlaces: Sendable {
    /// Taken until it is released.
    final class Place: Sendable {
        private let places: SpreadPlaces
        private let owner: ObjectIdentifier

        fileprivate init(_ places: SpreadPlaces, _ owner: ObjectIdentifier) {
            self.places = places
            self.owner = owner
        }

        deinit { self.places.shares.withLock { $0.giveBack(by: self.owner) } }
    }

    private let shares: Mutex<Shares<ObjectIdentifier, ObjectIdentifier>>

    init(limit: Int) { self.shares = Mutex(Shares(limit: limit, factor: 1)) }

    /// A place; nil when there is none for this owner.
    func take(for owner: ObjectIdentifier) -> Place? {
        self.shares.withLock { $0.take(by: owner) } ? Place(self, owner) : nil
    }
}
