package import Basics
import DequeModule
package import NIOCore

/// Datagrams of a tunnel's associations that wait for their turn.
///
/// Associations take turns by bytes (deficit round robin, M. Shreedhar and G. Varghese, SIGCOMM 1995): a download does not
/// keep a game or a question waiting. When too much waits, the oldest goes of whoever has most; what has waited for too long
/// goes as well.
package struct DatagramScheduler {
    /// A datagram, with all that has to be known to send it.
    package struct Item {
        package let association: AssociationID
        package let endpoint: Endpoint
        package let payload: ByteBuffer
        fileprivate let since: NIODeadline

        fileprivate var cost: Int { self.payload.readableBytes + AssociationLimits.waitingOverhead }
    }

    /// What waits of one association.
    fileprivate struct Line {
        var items: Deque<Item> = []
        var bytes = 0
        /// How many bytes it may still send in this turn.
        var credit = 0
    }

    /// What a turn gives: a datagram of the usual size.
    private static let quantum = 1500

    private var lines: [AssociationID: Line] = [:]
    /// Whose turn it is, and who follows.
    private var turns: Deque<AssociationID> = []
    private var bytes = 0
    /// Datagrams that went for others, or had waited for too long.
    package private(set) var dropped: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { self.turns.isEmpty }

    /// Adds a datagram to those that wait.
    package mutating func append(
        _ payload: ByteBuffer, _ endpoint: Endpoint, of association: AssociationID, at now: NIODeadline
    ) {
        let item = Item(association: association, endpoint: endpoint, payload: payload, since: now)
        self.bytes += item.cost
        if self.lines[association]?.add(item) == nil {
            var line = Line()
            line.add(item)
            self.lines[association] = line
            self.turns.append(association)
        }
        while self.bytes > AssociationLimits.waitingBytes, let greedy = self.greedy(beside: association) {
            self.dropFirst(of: greedy)
        }
    }

    /// Takes out the datagram whose turn it is.
    package mutating func next(at now: NIODeadline) -> Item? {
        while let id = self.turns.first, let first = self.lines[id]?.items.first {
            guard now - first.since <= AssociationLimits.waitingTime else {
                self.dropFirst(of: id)
                continue
            }
            guard let credit = self.lines[id]?.credit, credit >= first.cost else {
                self.lines[id]?.credit += Self.quantum
                self.turns.append(self.turns.removeFirst())
                continue
            }
            self.lines[id]?.credit -= first.cost
            return self.removeFirst(of: id)
        }
        return nil
    }

    /// The association is over: what waits of it is forgotten.
    package mutating func remove(_ association: AssociationID) {
        guard let line = self.lines.removeValue(forKey: association) else { return }
        self.bytes -= line.bytes
        self.turns.removeAll { $0 == association }
    }

    /// Whose oldest datagram is to go: that of `newest`, unless it has less than its share.
    private func greedy(beside newest: AssociationID) -> AssociationID? {
        if let own = self.lines[newest], own.bytes > AssociationLimits.waitingBytes / self.lines.count { return newest }
        return self.lines.max { $0.value.bytes < $1.value.bytes }?.key
    }

    private mutating func dropFirst(of id: AssociationID) {
        if self.removeFirst(of: id) != nil { self.dropped += 1 }
    }

    private mutating func removeFirst(of id: AssociationID) -> Item? {
        guard let item = self.lines[id]?.takeFirst() else { return nil }
        self.bytes -= item.cost
        if self.lines[id]?.items.isEmpty ?? true {
            self.lines[id] = nil
            if self.turns.first == id { self.turns.removeFirst() } else { self.turns.removeAll { $0 == id } }
        }
        return item
    }
}

extension DatagramScheduler.Line {
    fileprivate mutating func add(_ item: DatagramScheduler.Item) {
        self.items.append(item)
        self.bytes += item.cost
    }

    fileprivate mutating func takeFirst() -> DatagramScheduler.Item? {
        guard let item = self.items.popFirst() else { return nil }
        self.bytes -= item.cost
        return item
    }
}
