/// Places that owners share, so that nobody takes what another one needs. A value without a clock.
///
/// Places that cannot be taken back from those who have them (``take(by:of:isKnown:)``): an owner may have `factor` times as
/// many as are free (a dynamic threshold, as of A. K. Choudhury and E. L. Hahne, IEEE/ACM ToN 6 (2), 1998), and one that has
/// some leaves one at least. With a factor of 7, an owner alone has seven eighths; several that want as many as they can get
/// come to have equally many; a newcomer finds room. The parts of an owner that has several, such as the channels of a
/// client, share what it may have in the same way.
///
/// Places that can (``takeOrMove(by:of:isKnown:)``): an owner alone may have all, and whoever has less than its share gets one
/// of the owner who has most.
///
/// Owners may be made up: whoever can have many has a share for each. So a sixteenth is kept for owners that are known.
package struct Shares<Owner: Hashable & Sendable, Part: Hashable & Sendable>: Sendable {
    /// What ``takeOrMove(by:of:isKnown:)`` gives.
    package enum Place: Equatable, Sendable {
        case free
        /// The part has its share: it may have the place of something of its own.
        case own
        /// Another part has more than its share, and is to end something, unless that ends by itself before.
        case of(Part)
    }

    private struct Holding {
        let isKnown: Bool
        /// Of all parts.
        var count = 0
        /// What each has, those without any left out.
        var parts: [Part: Int] = [:]
        /// Those that may come to want something.
        var members: Set<Part> = []

        /// Whether what the owner may have is shared out.
        var hasSeveralParts: Bool { self.members.count > 1 || self.parts.count > 1 }

        /// Returns whether the owner is known.
        mutating func change(_ part: Part, by change: Int) -> Bool {
            self.count += change
            let count = (self.parts[part] ?? 0) + change
            self.parts[part] = count == 0 ? nil : count
            return self.isKnown
        }

        var greediest: (part: Part, count: Int)? { self.parts.max { $0.value < $1.value }.map { ($0.key, $0.value) } }
    }

    /// No limit is larger, so that nothing overflows.
    private static var largestLimit: Int { 1 << 40 }

    /// How many places there are in all.
    package let limit: Int
    /// How many are in use. The place of what another part is to end is that of the one who has taken it.
    package private(set) var used = 0
    private let factor: Int
    /// Kept for owners that are known.
    private let reserve: Int
    private var usedByKnown = 0
    private var holdings: [Owner: Holding] = [:]
    /// What each part has beyond that: its places are others' already.
    private var owed: [Part: Int] = [:]

    /// - Parameters:
    ///   - limit: at least 1.
    ///   - factor: at least 1.
    package init(limit: Int, factor: Int) {
        self.limit = min(max(1, limit), Self.largestLimit)
        self.factor = min(max(1, factor), 1 << 10)
        self.reserve = self.limit / 16
    }

    /// How many places an owner has.
    package func count(of owner: Owner) -> Int { self.holdings[owner]?.count ?? 0 }

    /// How many an owner can have when there is no other.
    package var mostOfOne: Int { self.most(of: self.limit) }

    /// How many of `places` an owner can have when the others of these are to stay free.
    private func most(of places: Int) -> Int {
        max(1, min(places - places / (self.factor + 1), places - 1))
    }

    /// Whether nothing at all is left for an owner, however little it has.
    package func isFull(isKnown: Bool) -> Bool { self.free(isKnown: isKnown) <= 0 }

    private func free(isKnown: Bool) -> Int {
        self.limit - self.used - (isKnown ? 0 : max(0, self.reserve - self.usedByKnown))
    }

    // MARK: Parts

    /// A part of an owner that may come to want places: what the owner may have is shared with it from now on.
    package mutating func join(_ part: Part, of owner: Owner, isKnown: Bool) {
        self.holdings[owner, default: Holding(isKnown: isKnown)].members.insert(part)
    }

    /// A part that has joined is gone, or will be when it has given all back.
    package mutating func leave(_ part: Part, of owner: Owner) {
        self.holdings[owner]?.members.remove(part)
        self.forgetIfEmpty(owner)
    }

    private mutating func forgetIfEmpty(_ owner: Owner) {
        if let holding = self.holdings[owner], holding.count == 0, holding.members.isEmpty {
            self.holdings[owner] = nil
        }
    }

    // MARK: Places that stay with who has them

    /// Takes a place; false when there is none for this part of the owner.
    ///
    /// - Parameter isKnown: of an owner always the same.
    package mutating func take(by part: Part, of owner: Owner, isKnown: Bool) -> Bool {
        guard self.hasRoom(for: part, of: owner, isKnown: isKnown) else { return false }
        self.change(part, of: owner, isKnown: isKnown, by: 1)
        self.used += 1
        return true
    }

    /// A place of one part of an owner is another part's from now on; false when the former has none.
    package mutating func passOn(from former: Part, to part: Part, of owner: Owner) -> Bool {
        guard let holding = self.holdings[owner], holding.parts[former] ?? 0 > 0 else { return false }
        self.change(part, of: owner, isKnown: holding.isKnown, by: 1)
        self.change(former, of: owner, isKnown: holding.isKnown, by: -1)
        return true
    }

    private func hasRoom(for part: Part, of owner: Owner, isKnown: Bool) -> Bool {
        guard !self.isFull(isKnown: isKnown) else { return false }
        guard let holding = self.holdings[owner], holding.count > 0 else { return true }
        let free = self.limit - self.used
        guard free > 1, holding.count < self.factor * free else { return false }
        guard holding.hasSeveralParts, let count = holding.parts[part] else { return true }
        let left = self.most(of: holding.count + free) - holding.count
        return left > 1 && count < self.factor * left
    }

    // MARK: Places that move

    /// Takes a place, if need be of another part that has more than its share.
    ///
    /// - Parameter isKnown: of an owner always the same.
    package mutating func takeOrMove(by part: Part, of owner: Owner, isKnown: Bool) -> Place {
        guard self.used >= self.limit else {
            self.change(part, of: owner, isKnown: isKnown, by: 1)
            self.used += 1
            return .free
        }
        let count = self.count(of: owner)
        let own = self.holdings[owner]?.parts[part] ?? 0
        let victim: (owner: Owner, part: Part)
        if count < self.share(of: owner, isKnown: isKnown), let other = self.greediest(for: owner, isKnown: isKnown) {
            victim = other
        } else if let sibling = self.holdings[owner]?.greediest, sibling.part != part, sibling.count > 1 || own == 0,
            own < self.shareOfPart(having: own, of: owner)
        {
            victim = (owner, sibling.part)
        } else {
            return .own
        }
        self.owed[victim.part, default: 0] += 1
        self.change(victim.part, of: victim.owner, isKnown: isKnown, by: -1)
        self.change(part, of: owner, isKnown: isKnown, by: 1)
        return .of(victim.part)
    }

    /// What an owner may have, of those who have something, this one included.
    private func share(of owner: Owner, isKnown: Bool) -> Int {
        var (owners, known) = (1, 1)
        for (other, holding) in self.holdings where other != owner && holding.count > 0 {
            owners += 1
            if holding.isKnown { known += 1 }
        }
        return max(1, self.limit / owners, isKnown ? self.reserve / known : 0)
    }

    /// What a part may have of what its owner has.
    private func shareOfPart(having own: Int, of owner: Owner) -> Int {
        guard let holding = self.holdings[owner] else { return 1 }
        return max(1, holding.count / max(1, holding.parts.count + (own == 0 ? 1 : 0)))
    }

    /// The other owner that has most, and the part of it that has; nil when it would lose what `owner` has no better right to.
    private func greediest(for owner: Owner, isKnown: Bool) -> (owner: Owner, part: Part)? {
        var greediest: (owner: Owner, holding: Holding)?
        // What is kept for those who are known is theirs alone.
        let sparesKnown = !isKnown && self.usedByKnown <= self.reserve
        for (other, holding) in self.holdings
        where other != owner && holding.count > greediest?.holding.count ?? 0 && !(sparesKnown && holding.isKnown) {
            greediest = (other, holding)
        }
        guard let greediest, let part = greediest.holding.greediest?.part else { return nil }
        let takesReserve = isKnown && self.usedByKnown < self.reserve && !greediest.holding.isKnown
        // Nobody's last one goes to somebody who has one.
        guard greediest.holding.count > 1 || self.count(of: owner) == 0 || takesReserve else { return nil }
        return (greediest.owner, part)
    }

    /// Whether a part has something to end because another has got its place.
    package func owes(_ part: Part) -> Bool { self.owed[part] != nil }

    // MARK: Giving back

    /// Something is over, whyever: its place is free, unless the part owes one. So whatever ends first makes room.
    package mutating func giveBack(by part: Part, of owner: Owner) {
        if let owed = self.owed[part] {
            self.owed[part] = owed > 1 ? owed - 1 : nil
        } else if let holding = self.holdings[owner], let count = holding.parts[part], count > 0 {
            self.used -= 1
            self.change(part, of: owner, isKnown: holding.isKnown, by: -1)
        }
    }

    private mutating func change(_ part: Part, of owner: Owner, isKnown: Bool, by change: Int) {
        // In place: an owner may have many parts.
        if self.holdings[owner, default: Holding(isKnown: isKnown)].change(part, by: change) {
            self.usedByKnown += change
        }
        if change < 0 { self.forgetIfEmpty(owner) }
    }
}

extension Shares where Owner == Part {
    /// Takes a place for an owner without parts; false when there is none for it.
    package mutating func take(by owner: Owner, isKnown: Bool = true) -> Bool {
        self.take(by: owner, of: owner, isKnown: isKnown)
    }

    /// What an owner without parts had is over.
    package mutating func giveBack(by owner: Owner) { self.giveBack(by: owner, of: owner) }
}
