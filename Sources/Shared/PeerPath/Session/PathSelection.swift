import ICE
import NIOCore

/// Which of the pairs that ICE has found carries datagrams: `active`, and beside it the one that is to take over.
///
///     nothing ──select──▶ unconfirmed ──confirmed──▶ confirmed ──select──▶ confirmed, contender unconfirmed
///                             ▲                       │     ▲                         │
///                             └── select ── lost ◀─ lost    └─────── confirmed ───────┘
///
/// There is a contender only beside an active path that is confirmed.
struct PathSelection {
    /// The path to be used; how far it can be relied on is its `standing`.
    var active: DirectPath?
    /// What ICE prefers to `active`, and is not confirmed.
    var contender: DirectPath?

    /// ICE wants a pair to be used. Returns whether it is one of these already; otherwise a path of it has to `begin`.
    mutating func keeps(_ pair: ICECandidatePair) -> Bool {
        if self.active?.pair.id == pair.id {
            self.active?.pair = pair
            self.contender = nil
        } else if self.contender?.pair.id == pair.id {
            self.contender?.pair = pair
        } else {
            return false
        }
        return true
    }

    /// Takes up a path that ICE has just selected.
    mutating func begin(_ path: DirectPath) {
        if self.active?.standing == .confirmed { self.contender = path } else { self.active = path }
    }

    /// Full-size datagrams get through on a path: it is used from now on.
    mutating func confirmed(_ place: Place) {
        if place == .contender {
            self.active = self.contender
            self.contender = nil
        }
        self.active?.standing = .confirmed
    }

    /// Nothing gets through on the active path any more. Its monitor goes on, unless there is another path to try.
    mutating func lost() {
        if let contender = self.contender {
            self.active = contender
            self.contender = nil
        } else {
            self.active?.standing = .lost
        }
    }

    /// A path must not, or cannot be used any more.
    mutating func remove(_ place: Place) {
        if place == .active { self.active = self.contender }
        self.contender = nil
    }

    /// Where a pair is; nil when it is none of these.
    func place(of pair: ICECandidatePair) -> Place? {
        Place.allCases.first { self[$0]?.pair.id == pair.id }
    }

    subscript(place: Place) -> DirectPath? {
        _read {
            switch place {
            case .active: yield self.active
            case .contender: yield self.contender
            }
        }
        _modify {
            switch place {
            case .active: yield &self.active
            case .contender: yield &self.contender
            }
        }
    }

    enum Place: Hashable, CaseIterable {
        case active
        case contender
    }
}
