import DequeModule

/// What several owners have waiting, of which each gets its turn.
struct FairQueue<Owner: Hashable, Element> {
    private var elements: [Owner: Deque<Element>] = [:]
    /// Those who have something, each once, in the order of their turns.
    private var turns: Deque<Owner> = []
    private(set) var count = 0

    var isEmpty: Bool { self.count == 0 }

    /// How many an owner has waiting.
    func count(of owner: Owner) -> Int { self.elements[owner]?.count ?? 0 }

    /// Adds one behind the owner's others.
    mutating func append(_ element: Element, of owner: Owner) {
        if self.elements[owner] == nil { self.turns.append(owner) }
        self.elements[owner, default: []].append(element)
        self.count += 1
    }

    /// Takes the first of the owner whose turn it is, and who may have one.
    mutating func popFirst(where mayHaveOne: (Owner) -> Bool = { _ in true }) -> (owner: Owner, element: Element)? {
        guard let index = self.turns.firstIndex(where: mayHaveOne) else { return nil }
        let owner = self.turns.remove(at: index)
        guard let element = self.elements[owner]?.popFirst() else { return nil }
        self.count -= 1
        if self.elements[owner]?.isEmpty == true {
            self.elements[owner] = nil
        } else {
            self.turns.append(owner)
        }
        return (owner, element)
    }

    /// Removes all for which `isUnwanted` holds.
    mutating func removeAll(where isUnwanted: (Element) -> Bool) {
        self.elements = self.elements.compactMapValues { waiting in
            let rest = waiting.filter { !isUnwanted($0) }
            return rest.isEmpty ? nil : rest
        }
        let elements = self.elements
        self.turns.removeAll { elements[$0] == nil }
        self.count = self.elements.values.reduce(0) { $0 + $1.count }
    }
}
