/// The places for UDP flows, shared out among relays: whoever has less than its share gets one, from the one who has most.
struct FlowShares {
    /// Names a relay.
    struct RelayID: Hashable, Sendable {
        let rawValue: UInt64
    }

    /// What ``take(by:)`` gives.
    enum Place: Equatable {
        case free
        /// The relay has its share: it may have a new flow in the place of one of its own.
        case own
        /// Another has more than its share: it is to end a flow, unless one ends by itself before it hears of that.
        case of(RelayID)
    }

    /// How many there are in all.
    let limit: Int
    /// How many are in use. That of a flow that another relay is to end counts for the one who has taken it.
    private(set) var used = 0
    /// How many each relay has, those without any left out.
    private var counts: [RelayID: Int] = [:]
    /// How many flows each relay has beyond these: their places are others' already.
    private var owed: [RelayID: Int] = [:]

    /// - Parameter limit: at least 1.
    init(limit: Int) { self.limit = limit }

    /// Asks for a place for one flow of a relay.
    mutating func take(by relay: RelayID) -> Place {
        guard self.used >= self.limit else {
            self.used += 1
            Self.add(1, to: &self.counts, of: relay)
            return .free
        }
        let count = self.counts[relay] ?? 0
        let relays = self.counts.count + (count == 0 ? 1 : 0)
        guard count < max(1, self.limit / relays), let greedy = self.counts.max(by: { $0.value < $1.value }),
            greedy.key != relay, greedy.value > 1 || count == 0
        else { return .own }
        Self.add(-1, to: &self.counts, of: greedy.key)
        Self.add(1, to: &self.owed, of: greedy.key)
        Self.add(1, to: &self.counts, of: relay)
        return .of(greedy.key)
    }

    /// Whether a relay has a flow to end because another has got its place.
    func owes(_ relay: RelayID) -> Bool { self.owed[relay] != nil }

    /// A flow has ended, whyever: its place is free, unless the relay owes one. So whichever flow ends first makes room.
    mutating func giveBack(by relay: RelayID) {
        if self.owes(relay) {
            Self.add(-1, to: &self.owed, of: relay)
        } else {
            self.used -= 1
            Self.add(-1, to: &self.counts, of: relay)
        }
    }

    private static func add(_ change: Int, to counts: inout [RelayID: Int], of relay: RelayID) {
        let count = (counts[relay] ?? 0) + change
        counts[relay] = count == 0 ? nil : count
    }
}
