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
        /// Another has more than its share: it is to end one, and not to give its place back.
        case of(RelayID)
    }

    /// How many there are in all.
    let limit: Int
    /// How many are in use. That of a flow that another relay is to end counts for the one who has taken it.
    private(set) var used = 0
    /// How many each relay has, those without any left out. Negative for one that has ended flows which it no longer owned.
    private var counts: [RelayID: Int] = [:]

    /// - Parameter limit: at least 1.
    init(limit: Int) { self.limit = limit }

    /// Asks for a place for one flow of a relay.
    mutating func take(by relay: RelayID) -> Place {
        guard self.used >= self.limit else {
            self.used += 1
            self.add(1, to: relay)
            return .free
        }
        let count = self.counts[relay] ?? 0
        let relays = self.counts.count + (count == 0 ? 1 : 0)
        guard count < max(1, self.limit / relays), let greedy = self.counts.max(by: { $0.value < $1.value }),
            greedy.key != relay, greedy.value > 1 || count == 0
        else { return .own }
        self.add(-1, to: greedy.key)
        self.add(1, to: relay)
        return .of(greedy.key)
    }

    /// Gives a place back: that of a flow that has ended, or of one that was to be ended for another and had ended before.
    mutating func giveBack(by relay: RelayID) {
        self.used -= 1
        self.add(-1, to: relay)
    }

    /// There was no flow left to be ended for another: its place had been given back already.
    mutating func hadEnded(by relay: RelayID) {
        self.used += 1
        self.add(1, to: relay)
    }

    private mutating func add(_ change: Int, to relay: RelayID) {
        let count = (self.counts[relay] ?? 0) + change
        self.counts[relay] = count == 0 ? nil : count
    }
}
